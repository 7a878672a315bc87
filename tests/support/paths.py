"""Where things are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

SHARED = ROOT.parent / "shared"
"""Pictures and data that are not in the project; tests that need them skip where it is absent."""
