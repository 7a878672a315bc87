from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from support.reports import HOT, make_failed, make_report, make_variant

from digitkit.benchmark import plots
from digitkit.images.opencv import cv2


def decode(figure: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(figure, np.uint8), cv2.IMREAD_COLOR)


def test_candidate_networks():
    rows = [
        {
            "name": f"network {i}",
            "fp32_ratio": 0.5 + i / 10, "int8_ratio": 0.4 + i / 10,
            "fp32_varied_accuracy": 0.98 + i / 1000, "int8_varied_accuracy": 0.98 + i / 1000,
        }
        for i in range(4)
    ]  # fmt: skip
    figure = plots.plot_candidates(rows, "a machine")
    assert figure == plots.plot_candidates(rows, "a machine")
    image = decode(figure)
    assert image.shape[1] == 1080


def runs(*medians: float) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(us * 1000 * rng.lognormal(0, 0.1, 300)).astype(np.int64) for us in medians]


def samples(**variants: list[np.ndarray]) -> dict[str, np.ndarray]:
    return {
        f"{variant[1:]}/{number}": taken
        for variant, processes in variants.items()
        for number, taken in enumerate(processes)
    }


def test_latencies():
    values = make_report(
        make_variant("digits-int8", 30.0),
        make_failed("broken", "died"),
        make_variant("digits-fp32", 60.0, accuracy=0.995),
    )
    taken, others = (samples(v0=runs(us, 30, 31), v2=runs(60, 61)) for us in (29, 20))
    figure = plots.plot_latencies(values, taken)
    assert decode(figure).shape[1] == 1440
    assert figure == plots.plot_latencies(values, taken) != plots.plot_latencies(values, others)


@pytest.mark.parametrize(
    ("latencies", "labels", "scale"),
    [
        ([30.0, 60.0], ["m0", "m1"], "linear"),
        ([30.0, 900.0], ["m0", "m1"], "log"),
        ([30.0 + i for i in range(6)], list("123456"), "linear"),
    ],
)
def test_points_can_be_told_from_one_another(monkeypatch, latencies, labels, scale):
    monkeypatch.setattr(plots, "encode_png", lambda figure: figure)
    variants = [make_variant(f"m{i}", us) for i, us in enumerate(latencies)]
    taken = samples(**{f"v{i}": runs(us) for i, us in enumerate(latencies)})
    figure = plots.plot_latencies(make_report(*variants, findings=(HOT,)), taken)
    *histograms, points = figure.axes
    assert sorted(text.get_text() for text in points.texts) == labels
    assert points.get_xscale() == scale
    for number, axes in enumerate(histograms, 1):
        name = (f"{number}: " if len(latencies) == 6 else "") + f"m{number - 1}"
        assert axes.get_ylabel() == name
    assert "an INVALID run" in figure.get_suptitle()


def test_more_variants_make_a_higher_figure():
    heights = []
    for count in (1, 5, 12):
        variants = [make_variant(f"m{i}-int8", 30.0 + i) for i in range(count)]
        taken = {f"{i}/0": runs(30 + i)[0] for i in range(count)}
        heights.append(decode(plots.plot_latencies(make_report(*variants), taken)).shape[0])
    assert heights[0] <= heights[1] < heights[2]


@pytest.mark.parametrize(
    "variants",
    [
        [],
        [make_failed("broken", "died")],
        [make_variant("digits-int8", 30.0, accuracy=None)],
        [make_variant("digits-int8", 30.0, accuracy=1.0)],
        [make_variant("[a] $x_{ b|c \\q", 30.0)],
    ],
)
def test_latencies_of_little(variants):
    measured = variants and variants[0].error is None
    for taken in (runs(30.0), [np.full(64, 30_000)]):  # or all calls take the same time
        figure = plots.plot_latencies(make_report(*variants), samples(v0=taken) if measured else {})
        assert decode(figure) is not None


def test_a_real_run(quick_run):
    assert decode(plots.plot_latencies(quick_run.report, quick_run.samples)).ndim == 3
