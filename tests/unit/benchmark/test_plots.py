from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from support.reports import HOT, make_failed, make_report, make_variant

from digitkit.benchmark import plots
from digitkit.images.cv import cv2


def decode(figure: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(figure, np.uint8), cv2.IMREAD_COLOR)


def make_samples(*latencies: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Those of a process of each variant, by their median in µs."""
    rng = np.random.default_rng(seed)
    return {
        f"{place}/0": (us * 1000 * rng.lognormal(0, 0.1, 300)).astype(np.int64)
        for place, us in enumerate(latencies)
    }


def test_the_same_run_gives_the_same_figure(quick_run):
    report = quick_run.report
    figure = plots.plot_latencies(report, quick_run.samples)
    assert decode(figure).shape[1] == 1440
    assert figure == plots.plot_latencies(report, quick_run.samples)
    assert figure != plots.plot_latencies(report, make_samples(29, 60))


@pytest.mark.parametrize(
    ("latencies", "labels", "scale"),
    [
        ([30.0, 60.0], ["m0", "m1"], "linear"),
        ([30.0, 900.0], ["m0", "m1"], "log"),
        ([30.0 + i for i in range(6)], list("123456"), "linear"),
    ],
)
def test_points_can_be_told_from_one_another(monkeypatch, latencies, labels, scale):
    monkeypatch.setattr(plots, "figure_to_png", lambda figure: figure)
    variants = [make_variant(f"m{i}", us) for i, us in enumerate(latencies)]
    report = make_report(*variants, findings=(HOT,))
    figure = plots.plot_latencies(report, make_samples(*latencies))
    *histograms, points = figure.axes
    assert sorted(text.get_text() for text in points.texts) == labels
    assert points.get_xscale() == scale
    many = len(latencies) == 6
    names = [f"{i + 1}: m{i}" if many else f"m{i}" for i in range(len(latencies))]
    assert [axes.get_ylabel() for axes in histograms] == names
    assert bool(figure.get_size_inches()[1] > 5) is many
    assert "an INVALID run" in figure.get_suptitle()


def test_a_run_without_accuracy_has_no_points(monkeypatch):
    monkeypatch.setattr(plots, "figure_to_png", lambda figure: figure)
    report = make_report(replace(make_variant("m0", 30.0), accuracy=None))
    points = plots.plot_latencies(report, make_samples(30.0)).axes[-1]
    assert points.get_xlabel() == "accuracy was not measured"
    assert len(points.get_xticks()) == 0


def test_names_of_points_do_not_cover_one_another(monkeypatch):
    monkeypatch.setattr(plots, "figure_to_png", lambda figure: figure)
    names = [f"digits-tiny-int8, {i} threads" for i in range(5)]
    variants = [make_variant(name, 30 + i / 10) for i, name in enumerate(names)]
    report = make_report(*variants, findings=(HOT,))
    figure = plots.plot_latencies(report, make_samples(*(30.0,) * 5))
    extents = [text.get_window_extent() for text in figure.axes[-1].texts]
    assert not any(a.overlaps(b) for i, a in enumerate(extents) for b in extents[:i])
    assert figure._suptitle.get_color() == "tab:red"
    assert (
        figure._suptitle.get_color()
        != plots.plot_latencies(make_report(*variants), make_samples(30.0))._suptitle.get_color()
    )


@pytest.mark.parametrize(
    "variants",
    [
        [],
        [make_failed("broken", "died")],
        [make_variant(accuracy=None)],
        [make_variant(accuracy=1.0), make_failed("broken", "died")],
        [make_variant("[a] $x_{ b|c \\q")],
    ],
)
def test_latencies_of_little(variants):
    report = make_report(*variants)
    for samples in (make_samples(30.0), {"0/0": np.full(64, 30_000)}):  # or all take the same time
        figure = plots.plot_latencies(report, samples if report.measured else {})
        assert decode(figure) is not None
