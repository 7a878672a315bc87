"""Where images come from: files, videos, cameras and streams."""
