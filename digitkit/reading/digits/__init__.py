"""Digits looked at a second time: missed ones, doubtful ones, letters, slashes, drawings."""
