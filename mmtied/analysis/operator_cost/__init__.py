"""What standard, group and tied block convolution cost."""
