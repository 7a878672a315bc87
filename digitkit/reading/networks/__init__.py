"""The networks that read pages, rows and grey pixels, and how their probabilities are combined."""
