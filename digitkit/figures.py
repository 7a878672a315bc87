"""Figures of a training and of an evaluation, as PNG bytes. Needs matplotlib, but no screen."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from digitkit.errors import needs_extra
from digitkit.models.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from digitkit.datasets.digits import Images

MAX_MISTAKES = 40
"""Most images that were read wrong in a figure."""


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


def figure_to_png(figure: Figure) -> bytes:
    """A figure as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    # The version stamp would change the bytes with every release of matplotlib.
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def curves(
    title: str, epochs: Sequence[Epoch], best_epoch: int, *, harder: Sequence[str] = ()
) -> bytes:
    """Draw loss and error by epoch.

    Args:
        title: of the figure.
        epochs: the epochs in order.
        best_epoch: the epoch whose weights were kept; it is marked.
        harder: what training has and validation has not, such as ``augmented images``: why its
            loss is higher.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

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
        (training, "training", "tab:blue"),
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
        axes.set_xlim(min(0.5, x[0] - 0.2), x[-1] + (0.5 if len(x) == 1 else 0.2))
        axes.axvline(best_epoch, color="grey", linewidth=1, linestyle=":", label="kept")
        axes.grid(alpha=0.3, which="both")
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        low, high = axes.get_ylim()
        if high > 8 * low:  # else labels would overlap
            axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
        axes.tick_params(which="both", labelsize=8)
    left.legend(fontsize=8)
    if harder:
        why = f"training is harder than validation: {', '.join(harder)}"
        figure.supxlabel(why, fontsize=8, color="dimgrey")
    return figure_to_png(figure)


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
    axes.set(xlabel="read as", ylabel="true digit", xticks=range(10), yticks=range(10))
    return figure_to_png(figure)


def mistakes(title: str, images: Images, evaluation: Evaluation) -> bytes:
    """Draw the images that were read wrong with the highest confidence, up to `MAX_MISTAKES`.

    Args:
        title: of the figure.
        images: uint8 ``[N, 28, 28]``, the data that was evaluated.
        evaluation: the results.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    worst = evaluation.mistakes[:MAX_MISTAKES]
    columns = 10
    rows = max(1, -(-len(worst) // columns))
    figure = new_figure(11, 0.9 + 1.45 * rows)
    count = len(evaluation.mistakes)
    noun = "mistake" if count == 1 else "mistakes"
    most = f", the worst {MAX_MISTAKES}" if count > MAX_MISTAKES else ""
    figure.suptitle(f"{title}: {count} {noun}{most}")
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
    return figure_to_png(figure)
