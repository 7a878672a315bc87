"""Errors as values, to compare their attributes."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def error_of(kind: type, call: Callable, *args, **options):
    """The error of this kind that a call must raise."""
    with pytest.raises(kind) as caught:
        call(*args, **options)
    return caught.value
