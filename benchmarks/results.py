"""The page of stored results, ``benchmarks/results/README.md``, from the reports next to it.

    python benchmarks/results.py

Each class of machine has a folder with ``bench.json``, a report of ``digitkit bench``, and perhaps
``suite.json``, which ``benchmarks/suite.py`` writes. A machine that nobody has measured yet has a
row without figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from digitkit.benchmark.report import BenchReport, load_report
from digitkit.benchmark.summary import render_markdown
from digitkit.benchmark.units import format_mb, format_ms, format_percent, format_us
from digitkit.errors import DigitkitError
from digitkit.system import atomic

HERE = Path(__file__).parent / "results"
PAGE = HERE / "README.md"
WANTED = {
    "raspberry-pi-zero-2-w": "Raspberry Pi Zero 2 W",
    "raspberry-pi-3": "Raspberry Pi 3",
    "raspberry-pi-4": "Raspberry Pi 4",
    "raspberry-pi-5": "Raspberry Pi 5",
}
"""Boards that have a row even if nobody has measured them yet."""

MODELS = ("digits-int8", "digits-fp32", "digits-tiny-int8", "digits-tiny-fp32")

_INTRODUCTION = """\
# Results by machine

What `make bench` measured, one folder per class of machine; `python benchmarks/results.py` makes
this page from the reports in them. Nothing here is estimated or emulated: a machine that nobody has
measured yet has an empty row.

**To contribute yours**, a Raspberry Pi say, run this with its own power supply and nothing else
running:

```
digitkit bench --models digits,digits-tiny --workers 1,4 --json bench.json
```

It takes about two minutes on a laptop and up to ten on a small board. Accuracy is measured, too: a
bundle contains the MNIST test set. If the run is INVALID, the line says why (heat, power, another
program); fix that and run it again. Then, in a checkout, copy the report to
`benchmarks/results/BOARD/bench.json` (`raspberry-pi-4`, say; the raw samples are not needed), run
`python benchmarks/results.py`, which updates this page, and open a pull request; or attach the file
to an issue.
"""

_ABOUT = """\
p50 is the median of the processes' medians for one call with one image, from Python, on one thread;
the range over the processes is in the report. Cold start is `digitkit infer one.png` from the start
of the process to its result. Photos are the digits read correctly on pages, easy and hard, and on
images of single digits.
"""


def machine_class(report: BenchReport) -> str:
    """The folder's name for the machine of a report: its board, else its processor and cores."""
    machine = report.environment.machine
    if board := re.match(r"Raspberry Pi (Zero 2 W|\d+)", machine.board or ""):
        return _slug(board[0])
    features = [one for one in ("AVX512", "VNNI", "AMX") if one in machine.features]
    return _slug(" ".join([machine.cpu, *features, f"{machine.usable_cores} cores"]))


def _slug(text: str) -> str:
    plain = re.sub(r"\((r|tm|c)\)", "", text.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def make_page(folder: Path = HERE) -> str:
    """The page's text."""
    paths = {path.parent.name: path for path in sorted(folder.glob("*/bench.json"))}
    heads = [
        "machine", "`digits` int8", "fp32", "`digits-tiny` int8", "fp32", "accuracy, int8",
        "cold start", "memory", "photos: easy, hard, single", "training to 99.12%", "",
    ]  # fmt: skip
    reports = {name: load_report(path) for name, path in paths.items()}
    rows = [_make_row(paths[name], reports[name]) for name in paths if name not in WANTED]
    for name, board in WANTED.items():
        rows.append(_make_row(paths[name], reports[name]) if name in paths else [board, *[""] * 10])
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
    text = [_INTRODUCTION, "\n".join(lines), "", _ABOUT]
    for name, path in paths.items():
        text.append(f"## {name}\n")
        if path.with_name("bench.png").is_file():
            about = "Histograms of the latency per call, and error against latency"
            text.append(f"![{about}]({name}/bench.png)\n")
        text.append(render_markdown(reports[name]))
    return "\n".join(text).rstrip() + "\n"


def _make_row(path: Path, report: BenchReport) -> Sequence[str]:
    name, expected = path.parent.name, machine_class(report)
    if name != expected:
        raise SystemExit(f"{path}: belongs into a folder named {expected}")
    if report.quick:
        raise SystemExit(f"{path}: is a quick run, which is too rough to keep")
    suite_path = path.with_name("suite.json")
    suite = json.loads(suite_path.read_text("utf-8")) if suite_path.is_file() else {}
    p50 = {variant.name: variant.p50_us for variant in report.measured}
    first = next((one for one in report.measured if one.name == "digits-int8"), None)
    start = next((one for one in report.cold_starts if one.model == "digits-int8"), None)
    machine = report.environment.machine
    return [
        WANTED.get(name) or ", ".join(filter(None, (machine.board, machine.cpu))),
        *(format_us(p50[model]) if model in p50 else "" for model in MODELS),
        format_percent(first.accuracy) if first else "",
        format_ms(start.p50_ms) if start else "",
        format_mb(start.peak_mb) if start else "",
        _photos(suite.get("photos", {})),
        _training(suite.get("training", {})),
        f"[report]({name}/bench.json)"
        + ("" if report.valid else ", INVALID")
        + (", noisy" if report.noisy else ""),
    ]


def _photos(photos: dict[str, Any]) -> str:
    readers = photos.get("readers", {})
    if "digits-int8" not in readers:
        return ""
    groups = readers["digits-int8"]["groups"]
    parts = ("easy pages", "hard pages", "single digits")
    return ", ".join(f"{groups[part]['digits_right']:.1%}" for part in parts if part in groups)


def _training(training: dict[str, Any]) -> str:
    for points in training.get("trainings", {}).get("quick", []):
        reached = [seconds for seconds, accuracy in points if accuracy >= 0.9912]
        if reached:
            return f"{min(reached):.0f} s"
    return ""


def write_page() -> None:
    """Write the page again."""
    atomic.write_text(PAGE, make_page())


if __name__ == "__main__":
    try:
        write_page()
    except DigitkitError as error:
        raise SystemExit(str(error)) from error
