"""One HTML file with everything that was read, and a review of what is doubtful."""
