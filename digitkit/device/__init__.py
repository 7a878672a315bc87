"""A device's installation and health: the bundle, its installer, the doctor."""
