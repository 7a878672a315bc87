"""Training: the only place, with `digitkit.export`, that imports torch."""
