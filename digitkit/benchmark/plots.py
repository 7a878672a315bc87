"""Plots of a benchmark, as PNG bytes. Needs matplotlib, no screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from digitkit.arrays import F64
from digitkit.benchmark.report import BenchReport
from digitkit.benchmark.stats import Samples
from digitkit.benchmark.variants import MeasuredVariant
from digitkit.figures import figure_to_png, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

MAX_NAMES = 5
"""With more variants their points have numbers: their names would overlap."""

LOG_FROM = 20.0
"""From this ratio of latencies on their axis is logarithmic: otherwise the quick ones overlap."""

_OFFSETS = [(x, y) for y in (4, -11, 16, -23, 28, -35, 40, -47, 52, -59) for x in (6, -6)]
"""Where the name of a point may go, from it, points: the first that is free."""

Microseconds = F64


def plot_latencies(report: BenchReport, samples: Mapping[str, Samples]) -> bytes:
    """Histograms of the latency per call, and error against latency.

    Args:
        report: the report.
        samples: as in `digitkit.benchmark.report.BenchResult`.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    variants = {
        place: variant
        for place, variant in enumerate(report.variants)
        if isinstance(variant, MeasuredVariant)
    }
    rows = max(len(variants), 1)
    figure = new_figure(12, 1.6 + max(0.75 * rows, 3.2))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.25, 1))[0]
    numbered = len(variants) > MAX_NAMES
    _draw_histograms(left, variants, samples, numbered=numbered)
    points = right.subplots()
    _draw_points(points, variants, numbered=numbered)
    colour = "black" if report.valid else "tab:red"
    figure.suptitle(_make_title(report), fontsize=10, color=colour)
    figure.draw_without_rendering()  # which places the axes
    _separate(points)
    return figure_to_png(figure)


def _draw_histograms(
    area: SubFigure,
    variants: Mapping[int, MeasuredVariant],
    samples: Mapping[str, Samples],
    *,
    numbered: bool,
) -> None:
    """A row per variant, with one line for each process."""
    from matplotlib.ticker import LogLocator

    area.suptitle("latency per call, µs; one line per process", fontsize=10)
    grid = area.subplots(max(len(variants), 1), 1, sharex=True, squeeze=False)[:, 0]
    grid[-1].set_xlabel("solid: p50, dashed: p90, dotted: p99; slower calls are cut off")
    us = {place: _select_samples(samples, place) for place in variants}
    every = [durations for processes in us.values() for durations in processes]
    if not every:
        return
    low = min(float(durations.min()) for durations in every)
    high = max(variant.p99_us for variant in variants.values())
    edges = np.geomspace(0.95 * low, 1.05 * high, 160)
    for number, (axes, (place, variant)) in enumerate(zip(grid, variants.items(), strict=True), 1):
        for durations in us[place]:
            counts, _ = np.histogram(durations, edges)
            axes.stairs(
                counts / len(durations), edges, color=f"C{place % 10}", alpha=0.6, linewidth=0.9
            )
        percentiles = ((variant.p50_us, "-"), (variant.p90_us, "--"), (variant.p99_us, ":"))
        for value, style in percentiles:
            axes.axvline(value, color="black", linewidth=0.8, linestyle=style)
        axes.set(xscale="log", yticks=[])
        name = f"{number}: {variant.name}" if numbered else variant.name
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        axes.spines[["top", "left", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.tick_params(which="both", labelsize=8)


def _draw_points(axes: Axes, variants: Mapping[int, MeasuredVariant], *, numbered: bool) -> None:
    """Error against latency per image, one point per variant whose accuracy is known."""
    by_number = ", by number" if numbered else ""
    axes.set_title(f"accuracy against latency per image{by_number}", fontsize=10)
    points = []
    for number, (place, variant) in enumerate(variants.items(), 1):
        if variant.accuracy is not None:
            point = (variant.p50_us / variant.batch, 100 * (1 - variant.accuracy))
            points.append((point, str(number) if numbered else variant.name, f"C{place % 10}"))
    for point, name, colour in sorted(points):
        axes.plot(*point, "o", color=colour)
        axes.annotate(name, point, _OFFSETS[0], textcoords="offset points", fontsize=8)
    if not points:
        axes.set(xticks=[], yticks=[], xlabel="accuracy was not measured")
        return
    axes.set(xlabel="p50 per image, µs", ylabel="error, %")
    across = [point[0] for point, _, _ in points]
    if max(across) > LOG_FROM * min(across):
        axes.set_xscale("log")
        axes.set_xlim(0.8 * min(across), 2 * max(across))
    else:
        axes.set_xlim(0, 1.35 * max(across))
    axes.set_ylim(0, 1.2 * axes.dataLim.y1 or 1)  # the error may be 0
    axes.grid(alpha=0.3)


def _separate(axes: Axes) -> None:
    """Move the names of points that are drawn so that they cover neither each other nor a point."""
    from matplotlib.transforms import Bbox

    drawn: list[Any] = [(line.get_xdata(), line.get_ydata()) for line in axes.lines]
    places = axes.transData.transform(np.reshape(drawn, (-1, 2)))
    points = [Bbox.from_extents(x - 3, y - 3, x + 3, y + 3) for x, y in places]
    taken: list[Bbox] = []
    for text in axes.texts:
        for offset in _OFFSETS:
            text.set_position(offset)
            text.set_horizontalalignment("left" if offset[0] > 0 else "right")
            extent = text.get_window_extent()
            if extent.x1 <= axes.bbox.x1 and not extent.count_overlaps([*taken, *points]):
                break
        else:
            text.set_position(_OFFSETS[0])
            text.set_horizontalalignment("left")
        taken.append(text.get_window_extent())


def _make_title(report: BenchReport) -> str:
    words = [report.environment.machine.cpu, report.created[:10]]
    words += ["a quick run"] if report.quick else []
    words += ["a noisy run"] if report.noisy else []
    words += [] if report.valid else ["an INVALID run"]
    words.append(f"ONNX Runtime {report.environment.versions.get('onnxruntime')}")
    return ", ".join(words)


def _select_samples(samples: Mapping[str, Samples], place: int) -> list[Microseconds]:
    """The timed calls of each of a variant's processes, those at a fixed rate left out."""
    return [
        durations / 1000
        for name, durations in samples.items()
        if name.partition("/")[0] == str(place) and not name.endswith("/paced")
    ]
