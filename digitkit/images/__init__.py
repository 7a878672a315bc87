"""Decoding, ink and MNIST's normal form: the one path of pixels."""
