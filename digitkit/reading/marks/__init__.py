"""The ink of a strip that is no digit: points, signs, dashes, lines, and what they are."""
