"""The page of stored results, ``benchmarks/results/README.md``, from the reports beside it.

    python benchmarks/results.py

A folder a class of machine holds ``bench.json``, a report of ``digitkit bench``, and may hold
``suite.json``, what ``benchmarks/suite.py`` found beside it. A machine that nobody has measured has
a row without figures.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from digitkit.benchmark import report
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
"""Boards that have a row from the start."""

_INTRODUCTION = """\
# Results by machine

What `make bench` measured, one machine class a folder; this page is made of the reports in them by
`python benchmarks/results.py`. Nothing here is estimated or emulated: a machine that nobody has
measured has an empty row.

**To send in yours**, from a Raspberry Pi say, with nothing else running, on its own power supply:

```
digitkit bench --models digits,digits-tiny --workers 1,4 --json bench.json
```

It takes about two minutes on a laptop and up to ten on a small board; the accuracy is measured,
too, since a bundle brings MNIST's test set along. If it ends with INVALID, the line says why (heat,
power, another program); mend that and run it again. Then, in a checkout, copy it to
`benchmarks/results/BOARD/bench.json` (`raspberry-pi-4`, say; the raw samples stay with you), run
`python benchmarks/results.py`, which makes this page, and open a pull request; or attach the file
to an issue.
"""

_ABOUT = """\
p50 is the median of the processes' medians of one run with one image, from Python, one thread; its
range over the processes is in the report. Cold start is `digitkit infer one.png` from the process's
start to its answer. Photos are digits right on pages, easy and hard, and on single digits.
"""


def machine_class(values: dict[str, Any]) -> str:
    """The folder's name for the machine of a report: its board, else its processor and cores."""
    machine = values["environment"]["machine"]
    board = machine["board"] or ""
    if found := re.match(r"Raspberry Pi (Zero 2 W|\d+)", board):
        return _slug(found[0])
    features = [one for one in ("AVX512", "VNNI", "AMX") if one in machine["features"]]
    return _slug(" ".join([machine["cpu"], *features, f"{machine['usable_cores']} cores"]))


def _slug(text: str) -> str:
    plain = re.sub(r"\((r|tm|c)\)", "", text.lower())
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


def page(folder: Path = HERE) -> str:
    """The page's text."""
    found = {path.parent.name: path for path in sorted(folder.glob("*/bench.json"))}
    heads = [
        "machine", "`digits` int8", "fp32", "`digits-tiny` int8", "fp32", "accuracy, int8",
        "cold start", "memory", "photos: easy, hard, single", "training to 99.12%", "",
    ]  # fmt: skip
    rows = [_row(name, path) for name, path in found.items() if name not in WANTED]
    for name, board in WANTED.items():
        rows.append(_row(name, found[name]) if name in found else [board] + [""] * 10)
    lines = [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]
    parts = [_INTRODUCTION, "\n".join(lines), "", _ABOUT]
    for path in found.values():
        values = report.load(path)
        parts.append(f"## {path.parent.name}\n")
        if path.with_name("bench.png").is_file():
            about = "Histograms of each variant's runs, and error against latency"
            parts.append(f"![{about}]({path.parent.name}/bench.png)\n")
        parts.append(report.markdown(values))
    return "\n".join(parts).rstrip() + "\n"


def _row(name: str, path: Path) -> Sequence[str]:
    values = report.load(path)
    of = machine_class(values)
    if name != of:
        raise SystemExit(f"{path}: is of {of}; put it into a folder of that name")
    if values["quick"]:
        raise SystemExit(f"{path}: is a quick run, which is not for keeping")
    beside = path.with_name("suite.json")
    suite = json.loads(beside.read_text("utf-8")) if beside.is_file() else {}
    by_name = {one["name"]: one for one in values["variants"] if one["error"] is None}
    starts = {one["model"]: one for one in values["cold_starts"]}
    models = ("digits-int8", "digits-fp32", "digits-tiny-int8", "digits-tiny-fp32")
    p50 = [
        report.microseconds(by_name[model]["p50_us"]) if model in by_name else ""
        for model in models
    ]
    first = by_name.get("digits-int8")
    start = starts.get("digits-int8")
    machine = values["environment"]["machine"]
    return [
        WANTED.get(name) or ", ".join(filter(None, (machine["board"], machine["cpu"]))),
        *p50,
        report.share(first["accuracy"]) if first else "",
        report.microseconds(start["p50_ms"] * 1000) if start else "",
        report.megabytes(start["peak_mb"]) if start else "",
        _photos(suite.get("photos", {})),
        _training(suite.get("training", {})),
        f"[report]({path.parent.name}/bench.json)"
        + ("" if values["valid"] else ", INVALID")
        + (", noisy" if values["noisy"] else ""),
    ]  # fmt: skip


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
    """Write the page anew."""
    atomic.write_text(PAGE, page())


if __name__ == "__main__":
    try:
        write_page()
    except DigitkitError as error:
        raise SystemExit(str(error)) from error
