"""Digits and marks in, numbers out: gaps, columns, checks, confidence, fields. No pixels."""
