"""A device's offline installation in one file: digitkit, its packages, models and an installer."""
