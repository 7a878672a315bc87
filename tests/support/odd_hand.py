"""The hand of ``benchmarks/odd_hand.py``."""

import importlib.util

from support.paths import ROOT

_spec = importlib.util.spec_from_file_location("odd_hand", ROOT / "benchmarks" / "odd_hand.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

DIGITS = _module.DIGITS
draw_odd_digit = _module.draw_odd_digit
