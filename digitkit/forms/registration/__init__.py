"""Where a form lies in a picture: by markers or by its own print, and the page in a photo."""
