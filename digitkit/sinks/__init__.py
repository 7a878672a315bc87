"""Where readings go: lines, annotated images, videos, a window."""
