"""``digitkit serve``: readings over HTTP, the page, and the history."""
