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

from digitkit.version import __version__

# ONNX Runtime's wheels from 1.29 on send telemetry unless this is set before they are imported.
# digitkit works offline and sends nothing, so it is set here, where nothing can come before it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from digitkit.benchmark.bench_config import BenchConfig
    from digitkit.benchmark.runner import run_benchmark
    from digitkit.errors import DigitkitError
    from digitkit.forms.form import Form
    from digitkit.forms.results import FieldReading, FormReading
    from digitkit.models.classifier import Classifier, Prediction
    from digitkit.models.contract import ModelContract
    from digitkit.models.evaluation import Evaluation, evaluate
    from digitkit.reading.numbers.fields import Field
    from digitkit.reading.numbers.fitting import apply_field
    from digitkit.reading.reader import Reader
    from digitkit.reading.results import Digit, Event, Mark, Number, Reading, Timings
    from digitkit.sinks.drawing import draw
    from digitkit.sources.frames import Failure, Frame
    from digitkit.sources.live import Live

_MODULES = {
    "BenchConfig": "benchmark.bench_config",
    "Classifier": "models.classifier",
    "Digit": "reading.results",
    "DigitkitError": "errors",
    "Event": "reading.results",
    "Evaluation": "models.evaluation",
    "Failure": "sources.frames",
    "Field": "reading.numbers.fields",
    "FieldReading": "forms.results",
    "Form": "forms.form",
    "FormReading": "forms.results",
    "Frame": "sources.frames",
    "Live": "sources.live",
    "Mark": "reading.results",
    "ModelContract": "models.contract",
    "Number": "reading.results",
    "Prediction": "models.classifier",
    "Reader": "reading.reader",
    "Reading": "reading.results",
    "Timings": "reading.results",
    "apply_field": "reading.numbers.fitting",
    "draw": "sinks.drawing",
    "evaluate": "models.evaluation",
    "run_benchmark": "benchmark.runner",
}
"""Where each public name is defined."""

__all__ = [
    "BenchConfig",
    "Classifier",
    "Digit",
    "DigitkitError",
    "Evaluation",
    "Event",
    "Failure",
    "Field",
    "FieldReading",
    "Form",
    "FormReading",
    "Frame",
    "Live",
    "Mark",
    "ModelContract",
    "Number",
    "Prediction",
    "Reader",
    "Reading",
    "Timings",
    "__version__",
    "apply_field",
    "draw",
    "evaluate",
    "run_benchmark",
]


def __getattr__(name: str) -> Any:
    """Load a public name's module on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
