"""``digitkit inspect``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from digitkit.cli import show
from digitkit.cli.options import ModelArgument, Precision, PrecisionOption, Report, ReportOption

EXAMPLES = """\
[bold]Examples[/]

digitkit inspect

digitkit inspect digits --precision fp32

digitkit inspect some-other-model.onnx --format json
"""


def command(
    model: ModelArgument = "digits",
    precision: PrecisionOption = Precision.auto,
    format_: ReportOption = Report.text,
) -> None:
    """Show what a model is: its contract, operators, parameters, multiply-adds, size, hashes.

    digitkit's own models carry all of it. A foreign model's operators are counted where onnx is
    installed.
    """
    from digitkit.export import graph
    from digitkit.models.classifier import Classifier

    classifier = Classifier(model, precision=precision.value)
    facts: dict[str, Any] = {
        "file": str(classifier.path),
        "bytes": classifier.path.stat().st_size,
        "sha256": classifier.sha256,
        "input": classifier.input,
        "output": classifier.output,
    }
    if classifier.contract:
        facts |= asdict(classifier.contract)
    else:
        facts["contract"] = None
        counted = asdict(graph.describe_model(classifier.path, None))
        if counted["not_counted"] is None:
            del counted["not_counted"]
        facts |= counted
    if format_ is Report.json:
        print(json.dumps(facts, indent=2, ensure_ascii=False))
        return
    table = show.table("", "")
    for name, value in facts.items():
        if isinstance(value, dict):
            text = ", ".join(f"{count} {what}" for what, count in value.items())
        elif isinstance(value, int) and value >= 10_000:
            text = f"{value:,}"
        elif name in ("test_accuracy", "calibration_error"):
            text = f"{value:.2%}"
        elif isinstance(value, float):
            text = f"{value:.4g}"
        else:
            text = "none: a foreign model" if value is None and name == "contract" else str(value)
        table.add_row(name.replace("_", " "), text)
    table.show_header = False
    show.out().print(table)
