"""Figures of a training and of an evaluation, as PNG bytes. Needs matplotlib, but no screen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from digitkit.errors import needs_extra
from digitkit.models.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from digitkit.datasets.digits import Images


class Epoch(Protocol):
    """What `curves` needs of an epoch: a `digitkit.training.record.EpochRecord` has it."""

    @property
    def epoch(self) -> int:
        """From 1."""

    @property
    def train_loss(self) -> float:
        """Mean loss on the training images."""

    @property
    def train_accuracy(self) -> float:
        """On the training images, 0–1."""

    @property
    def val_loss(self) -> float | None:
        """Mean cross-entropy on the validation images; None without any."""

    @property
    def val_accuracy(self) -> float | None:
        """On the validation images, 0–1; None without any."""


def require() -> type[Figure]:
    """Import the class of figures.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        # The class itself, without pyplot: no global state, no window, no back end to choose.
        from matplotlib.figure import Figure
    except ImportError as error:
        raise needs_extra("matplotlib", "drawing") from error
    return Figure


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, sizes in inches.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    return require()(figsize=(width, height), layout="constrained")


def encode_png(figure: Figure) -> bytes:
    """A figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    # The version stamp would change the bytes with every release of matplotlib.
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def curves(title: str, epochs: Sequence[Epoch], best_epoch: int) -> bytes:
    """Draw loss and error by epoch.

    Args:
        title: of the figure.
        epochs: the epochs in order.
        best_epoch: the epoch whose weights were kept; it is marked.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure = new_figure(9, 3.6)
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    x = [epoch.epoch for epoch in epochs]
    training = [(epoch.train_loss, epoch.train_accuracy) for epoch in epochs]
    validation = [
        (epoch.val_loss, epoch.val_accuracy)
        for epoch in epochs
        if epoch.val_loss is not None and epoch.val_accuracy is not None
    ]
    for scores, label, colour in (
        (training, "training (augmented images)", "tab:blue"),
        (validation, "validation", "tab:orange"),
    ):
        if len(scores) != len(x):
            continue
        mark = "o" if len(x) < 30 else None
        loss, error = [loss for loss, _ in scores], [100 * (1 - accuracy) for _, accuracy in scores]
        left.plot(x, loss, color=colour, label=label, marker=mark, markersize=3)
        right.plot(x, error, color=colour, label=label, marker=mark, markersize=3)
    left.set(xlabel="epoch", ylabel="cross-entropy", yscale="log")
    right.set(xlabel="epoch", ylabel="error, %", yscale="log")
    for axes in (left, right):
        axes.axvline(best_epoch, color="grey", linewidth=1, linestyle=":", label="kept")
        axes.grid(alpha=0.3, which="both")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(which="minor", labelsize=7)
    left.legend()
    return encode_png(figure)


def confusion(title: str, evaluation: Evaluation) -> bytes:
    """Draw the confusion matrix, coloured by the fraction of each row that was read wrong.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    matrix = np.array(evaluation.confusion)
    wrong = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    np.fill_diagonal(wrong, 0)
    figure = new_figure(6, 5.6)
    axes = figure.subplots()
    correct = f"{evaluation.accuracy:.2%} of {evaluation.count:,} correct"
    axes.set_title(f"{title}\n{correct}", fontsize=11)
    shading = axes.imshow(100 * wrong, cmap="Reds", vmin=0, vmax=max(1.0, 100 * wrong.max()))
    figure.colorbar(shading, ax=axes, shrink=0.8, label="fraction of the row read wrong, %")
    dark = 0.6 * max(0.01, wrong.max())
    for row, column in zip(*np.nonzero(matrix), strict=True):
        axes.text(
            column,
            row,
            str(matrix[row, column]),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if wrong[row, column] > dark else "black",
            fontweight="bold" if row == column else "normal",
        )
    axes.set(xlabel="read as", ylabel="label", xticks=range(10), yticks=range(10))
    return encode_png(figure)


def mistakes(title: str, images: Images, evaluation: Evaluation, most: int = 40) -> bytes:
    """Draw the images that were read wrong with the highest confidence.

    Args:
        title: of the figure.
        images: uint8 ``[N, 28, 28]``, the data that was evaluated.
        evaluation: the results.
        most: number of images that are drawn at most.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    worst = evaluation.mistakes[:most]
    columns = 10
    rows = max(1, -(-len(worst) // columns))
    figure = new_figure(11, 0.9 + 1.45 * rows)
    count = len(evaluation.mistakes)
    noun = "mistake" if count == 1 else "mistakes"
    figure.suptitle(f"{title}: {count} {noun}" + (f", the worst {most}" if count > most else ""))
    for cell in range(rows * columns):
        axes = figure.add_subplot(rows, columns, cell + 1)
        axes.axis("off")
        if cell < len(worst):
            mistake = worst[cell]
            axes.imshow(images[mistake.index], cmap="gray_r", vmin=0, vmax=255)
            axes.set_title(
                f"{mistake.label} read as {mistake.predicted}\n"
                f"{mistake.confidence:.1%}  #{mistake.index}",
                fontsize=8,
            )
    return encode_png(figure)


def plane(rows: Sequence[Mapping[str, Any]], machine: str) -> bytes:
    """Validation error against latency, a net a point and precision; the undominated are joined.

    Args:
        rows: of each net ``name`` and, with ``fp32_`` and ``int8_`` before them,
            ``varied_accuracy`` (0–1) and ``ratio`` (latency as a multiple of a reference's).
        machine: where it was measured, for the title.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure = new_figure(9, 5.5)
    axes = figure.subplots()
    axes.set_title(f"the nets that were tried\n{machine}", fontsize=10)
    points: list[tuple[float, float]] = []
    for kind, colour, mark in (("fp32", "tab:blue", "s"), ("int8", "tab:orange", "o")):
        ours = [(row[f"{kind}_ratio"], 100 * (1 - row[f"{kind}_varied_accuracy"])) for row in rows]
        axes.scatter(*zip(*ours, strict=True), color=colour, marker=mark, label=kind)
        for row, place in zip(rows, ours, strict=True):
            axes.annotate(
                row["name"], place, (5, 4), textcoords="offset points", fontsize=8, color=colour
            )
        points += ours
    best = [p for p in points if not any(q[0] < p[0] and q[1] < p[1] for q in points)]
    front = list(zip(*sorted(best), strict=True))
    axes.plot(*front, color="grey", linestyle="--", linewidth=1, label="nothing is better in both")
    axes.axvline(1.0, color="grey", linewidth=1, linestyle=":", label="the model zoo's net")
    axes.margins(x=0.1, y=0.1)
    axes.set_xlim(left=0)
    axes.set(xlabel="latency of one image, multiples of the zoo's net")
    axes.set(ylabel="error on mildly varied validation images, %")
    axes.grid(alpha=0.3)
    axes.legend()
    return encode_png(figure)


NAMED = 5
"""Of more variants than these the points have numbers: their names would lie over one another."""

WIDE = 20.0
"""From this ratio of latencies on, their axis is logarithmic: else the quick ones lie together."""


def latencies(report: Mapping[str, Any], samples: Mapping[str, npt.NDArray[np.int64]]) -> bytes:
    """Histograms of a benchmark's runs, and accuracy against latency.

    Args:
        report: its JSON.
        samples: nanoseconds of each variant's processes, as `digitkit.benchmark.run_benchmark`
            gives them.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require()
    from matplotlib.ticker import LogLocator

    places = [i for i, variant in enumerate(report["variants"]) if variant["error"] is None]
    rows = max(len(places), 1)
    figure = new_figure(12, 1.6 + max(0.75 * rows, 3.2))
    left, right = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.25, 1))[0]
    left.suptitle("a run of the model, µs; one line for each process", fontsize=10)
    of = {i: [us for name, us in _microseconds(samples) if name == str(i)] for i in places}
    everything = [us for processes in of.values() for us in processes]
    if everything:
        low = min(float(us.min()) for us in everything)
        high = max(report["variants"][i]["p99_us"] for i in places)
        edges = np.geomspace(0.95 * low, 1.05 * high, 160)
    numbered = rows > NAMED
    histograms = left.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for number, (axes, i) in enumerate(zip(histograms, places, strict=False), 1):
        variant = report["variants"][i]
        for us in of[i]:
            counts, _ = np.histogram(us, edges)
            axes.stairs(counts / len(us), edges, color=f"C{i % 10}", alpha=0.6, linewidth=0.9)
        for part, style in (("p50_us", "-"), ("p90_us", "--"), ("p99_us", ":")):
            axes.axvline(variant[part], color="black", linewidth=0.8, linestyle=style)
        axes.set(xscale="log", yticks=[])
        name = f"{number}: {variant['name']}" if numbered else variant["name"]
        axes.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        axes.spines[["top", "left", "right"]].set_visible(False)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.tick_params(which="both", labelsize=8)
    histograms[-1].set_xlabel("p50 solid, p90 dashed, p99 dotted; the slowest are beyond")
    axes = right.subplots()
    numbers = ", by number" if numbered else ""
    axes.set_title(f"accuracy against latency of one image{numbers}", fontsize=10)
    points = []
    for number, i in enumerate(places, 1):
        variant = report["variants"][i]
        if variant["accuracy"] is not None:
            place = (variant["p50_us"] / variant["batch"], 100 * (1 - variant["accuracy"]))
            points.append((place, str(number) if numbered else variant["name"], f"C{i % 10}"))
    for number, (place, name, colour) in enumerate(sorted(points)):
        axes.plot(*place, "o", color=colour)
        beside = (6, -10 if number % 2 else 4)  # neighbours' names don't meet
        axes.annotate(name, place, beside, textcoords="offset points", fontsize=8)
    axes.set(xlabel="p50 an image, µs", ylabel="error, %")
    across = [place[0] for place, _, _ in points]
    if across and max(across) > WIDE * min(across):
        axes.set_xscale("log")
        axes.set_xlim(0.8 * min(across), 2 * max(across))
    else:
        axes.set_xlim(0, 1.35 * max(across, default=1))
    highest = axes.dataLim.y1 if axes.has_data() else 0.0
    axes.set_ylim(0, 1.2 * highest or 1)  # none may be wrong
    axes.grid(alpha=0.3)
    machine = report["environment"]["machine"]
    marks = [f"a {word} run" for word in ("quick", "noisy") if report[word]]
    marks += [] if report["valid"] else ["an INVALID run"]
    title = [machine["cpu"], report["created"][:10], *marks]
    runtime = report["environment"]["versions"].get("onnxruntime")
    figure.suptitle(", ".join([*title, f"ONNX Runtime {runtime}"]), fontsize=10)
    return encode_png(figure)


def _microseconds(
    samples: Mapping[str, npt.NDArray[np.int64]],
) -> list[tuple[str, npt.NDArray[np.float64]]]:
    closed = [(name, taken) for name, taken in samples.items() if not name.endswith("/paced")]
    return [(name.partition("/")[0], taken / 1000) for name, taken in closed]
