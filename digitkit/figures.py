"""Pictures of a training and of an evaluation, as PNG bytes. Needs matplotlib, no screen."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from digitkit.errors import needs_extra
from digitkit.models.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from digitkit.datasets.digits import Images


def require() -> type[Figure]:
    """The class that figures are made of.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        # Straight from the class, without pyplot: no global state, no window, no back end chosen.
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
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def curves(title: str, epochs: Sequence[Mapping[str, Any]], best_epoch: int) -> bytes:
    """Loss and error over the epochs.

    Args:
        title: the picture's title.
        epochs: the fields of `digitkit.training.loop.EpochRecord`, in order.
        best_epoch: the epoch whose weights were kept; marked.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure = new_figure(9, 3.6)
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    x = [record["epoch"] for record in epochs]
    for part, label, colour in (
        ("train", "training (varied images)", "tab:blue"),
        ("val", "validation", "tab:orange"),
    ):
        if epochs and epochs[0][f"{part}_loss"] is None:
            continue
        mark = "o" if len(x) < 30 else None
        loss = [record[f"{part}_loss"] for record in epochs]
        error = [100 * (1 - record[f"{part}_accuracy"]) for record in epochs]
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
    """The confusion matrix, coloured by the share of each row that was read wrong.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    matrix = np.array(evaluation.confusion)
    wrong = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    np.fill_diagonal(wrong, 0)
    figure = new_figure(6, 5.6)
    axes = figure.subplots()
    axes.set_title(f"{title}\n{evaluation.accuracy:.2%} of {evaluation.count:,} right", fontsize=11)
    shading = axes.imshow(100 * wrong, cmap="Reds", vmin=0, vmax=max(1.0, 100 * wrong.max()))
    figure.colorbar(shading, ax=axes, shrink=0.8, label="share of the row read wrong, %")
    dark = 0.6 * max(0.01, wrong.max())
    for row in range(10):
        for column in range(10):
            if matrix[row, column]:
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
    axes.set(xlabel="read as", ylabel="is", xticks=range(10), yticks=range(10))
    return encode_png(figure)


def mistakes(title: str, images: Images, evaluation: Evaluation, most: int = 40) -> bytes:
    """The images read wrong with the highest confidence.

    Args:
        title: the picture's title.
        images: uint8 ``[N, 28, 28]``, the data that was evaluated.
        evaluation: what came of it.
        most: how many are shown at most.

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
            one = worst[cell]
            axes.imshow(images[one.index], cmap="gray_r", vmin=0, vmax=255)
            axes.set_title(
                f"{one.label} read as {one.predicted}\n{one.confidence:.1%}  #{one.index}",
                fontsize=8,
            )
    return encode_png(figure)
