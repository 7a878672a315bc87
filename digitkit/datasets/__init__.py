"""Labelled digits as arrays: MNIST, IDX files, and folders of images. Needs no torch."""
