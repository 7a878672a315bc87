"""Hostile input, made by mutating valid files: targets, mutations, and what runs them.

`make fuzz` runs them for minutes (`run.py`), `make test` a little (`tests/hostile/test_fuzz.py`).
"""
