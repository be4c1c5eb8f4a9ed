"""Grad-CAM: where in an image a network finds what it says."""
