"""A device's offline installation in one file."""
