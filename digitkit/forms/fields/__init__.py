"""What is written in the fields: the ink without print, its digits, and what they say together."""
