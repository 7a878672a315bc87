"""An image in, a reading out: detection, classification, reading order, fields, tracking."""
