"""Synthetic photographs of pages, which the detector is trained on."""
