"""The ink of a strip beside its digits: points, signs, dashes, lines, and what they are."""
