"""Decoding, ink extraction and MNIST's normal form: the one pixel path."""
