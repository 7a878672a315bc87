"""Filled-in forms: a template marks the fields once, and each form becomes a row of a table."""
