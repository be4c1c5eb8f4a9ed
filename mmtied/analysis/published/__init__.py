"""What the publication prints, beside what our networks and configs are."""
