"""A blank form: its boxes, combs and lines, and the fields that are proposed for them."""
