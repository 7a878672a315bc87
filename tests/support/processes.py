"""What processes that tests begin do."""

import os


def die(*arguments: object) -> None:
    """End the process at once, as the kernel does where memory runs out."""
    os._exit(3)
