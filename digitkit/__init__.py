"""digitkit: handwritten digits, from training to an edge device.

The public names are loaded on first use, so ``import digitkit`` costs next to nothing:

>>> from digitkit import Reader
>>> Reader().read("seven.png").text  # doctest: +SKIP
'7'
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# ONNX Runtime's wheels from 1.29 on send telemetry unless this is set before they are imported.
# digitkit works offline and sends nothing, so it is set here, where nothing can come before it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from .classifier import Classifier, Prediction
    from .contract import ModelContract
    from .errors import DigitkitError
    from .evaluation import Evaluation, evaluate
    from .reader import Digit, Reader, Reading, Timings

__version__ = "0.1.0"

_HOME = {
    "Classifier": "classifier",
    "Prediction": "classifier",
    "ModelContract": "contract",
    "DigitkitError": "errors",
    "Evaluation": "evaluation",
    "evaluate": "evaluation",
    "Digit": "reader",
    "Reader": "reader",
    "Reading": "reader",
    "Timings": "reader",
}

__all__ = [
    "Classifier",
    "Digit",
    "DigitkitError",
    "Evaluation",
    "ModelContract",
    "Prediction",
    "Reader",
    "Reading",
    "Timings",
    "__version__",
    "evaluate",
]


def __getattr__(name: str) -> Any:
    """Load a public name's module on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
