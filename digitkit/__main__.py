"""``python -m digitkit`` is ``digitkit``."""

from .cli.app import main

main()
