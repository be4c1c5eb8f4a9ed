"""Any network by a few words: how it is named, built and loaded, and which of its layers are looked at."""
