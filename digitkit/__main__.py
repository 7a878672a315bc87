"""``python -m digitkit`` is ``digitkit``."""

from digitkit.cli.app import main

main()
