"""Each row as a level strip: its ink without ruled lines, and what the line reader sees in it."""
