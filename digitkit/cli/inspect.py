"""``digitkit inspect``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from digitkit.cli import show
from digitkit.cli.options import ModelArgument, PrecisionOption, ReportOption
from digitkit.system.tables import Table

EXAMPLES = """\
[bold]Examples[/]

digitkit inspect

digitkit inspect digits --precision fp32

digitkit inspect some-other-model.onnx --format json
"""


def command(
    model: ModelArgument = "digits",
    precision: PrecisionOption = "auto",
    format_: ReportOption = "text",
) -> None:
    """Show what a model is: its contract, operators, parameters, multiply-adds, size, hashes.

    digitkit's own models contain all of it. A third-party model's operators are counted if onnx is
    installed.
    """
    from digitkit.export import graph
    from digitkit.models.classifier import Classifier

    classifier = Classifier(model, precision=precision)
    facts: dict[str, Any] = {
        "file": str(classifier.path),
        "bytes": classifier.path.stat().st_size,
        "sha256": classifier.sha256,
        "input": classifier.input,
        "output": classifier.output,
    }
    if classifier.contract:
        facts |= asdict(classifier.contract)
        if facts["confidence_source"] is None:
            del facts["confidence_source"]
    else:
        facts["contract"] = None
        description = asdict(graph.describe_model(classifier.path, None))
        if description["not_counted"] is None:
            del description["not_counted"]
        facts |= description
    if format_ == "json":
        show.print_json(facts)
        return
    rows = tuple((name.replace("_", " "), _format(name, value)) for name, value in facts.items())
    show.print_table(Table(("", ""), rows))


def _format(name: str, value: Any) -> str:
    """A fact as text for people."""
    if value is None:
        return "none (third-party model)" if name == "contract" else "not available"
    if isinstance(value, dict):
        return ", ".join(f"{count}× {operator}" for operator, count in value.items())
    if isinstance(value, int) and value >= 10_000:
        return f"{value:,}"
    if name in ("test_accuracy", "calibration_error"):
        return f"{value:.2%}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
