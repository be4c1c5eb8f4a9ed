"""How similar the filters of a network are, by what they respond to and by their weights."""
