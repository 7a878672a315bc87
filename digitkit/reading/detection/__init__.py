"""A page in, its digits out: where they are, cut out, classified by context, in reading order."""
