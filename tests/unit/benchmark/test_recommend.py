import pytest
from support.errors import error_of
from support.reports import make_failed, make_report, make_variant

from digitkit.benchmark.bench_config import BenchConfig
from digitkit.benchmark.recommend import RecommendConfig, recommend
from digitkit.errors import ConfigError, GateError, ReportError
from digitkit.models.profiles import Profile


def make(us: float, kind: str = "int8", threads: int = 1, batch: int = 1, **changes):
    model = f"{changes.pop('family', 'digits')}-{kind}"
    name = f"{model}, {threads} threads, batch {batch}"
    return make_variant(model, us, threads=threads, batch=batch, name=name, **changes)


def recommend_one(*variants, **limits):
    (profile,) = recommend(make_report(*variants), RecommendConfig(**limits))
    return profile


NAN = float("nan")
WIDE = {"medians": [28, 29, 30, 31, 32]}
TWO_PRECISIONS = (make(30), make(60, "fp32"))
THREE_BATCHES = (make(30), make(100, batch=8), make(500, batch=64))
INACCURATE = (make(30, accuracy=0.985), make(60, "fp32"))
TAILED = (make(30, p90_us=80.0), make(60, "fp32", p90_us=70.0))
UNSTABLE = make(20, medians=[15, 18, 20, 25, 30])


def test_a_profile():
    assert recommend_one(*TWO_PRECISIONS) == Profile(
        model="digits", precision="int8", threads=1, batch=None, p50_us=30,
        images_per_second=1e6 / 30, accuracy=0.99, why="int8 takes 0.50 times as long as fp32",
        sha256={"int8": "sha of digits-int8", "fp32": "sha of digits-fp32"}, onnxruntime="1.32.0",
        cpu="Cortex-A76", created="2026-01-02T03:04:05+00:00",
    )  # fmt: skip
    profile = recommend_one(*THREE_BATCHES[:2])
    assert profile.images_per_second == pytest.approx(80_000)
    assert profile.why == "batches of 8 reach 80,000 images/s, batches of 1 33,333"
    assert recommend_one(*INACCURATE).why.startswith(
        "fp32 takes 2.00 times as long as int8 and is 0.50 points more accurate (int8 is"
    )
    unknown = recommend_one(*(make(us, accuracy=None) for us in (30, 60)))
    assert (unknown.p50_us, unknown.accuracy) == (30, None)


@pytest.mark.parametrize(
    ("rows", "limits", "choice"),
    [
        ((make(30), make(25, "fp32")), {}, ("fp32", 1, None)),
        # Without a sure difference, the more accurate
        ((make(30, **WIDE), make(31, "fp32", accuracy=0.9905, **WIDE)), {}, ("fp32", 1, None)),
        ((make(30, accuracy=0.9905, **WIDE), make(29, "fp32", **WIDE)), {}, ("int8", 1, None)),
        # More threads must be worthwhile, beyond chance.
        ((*TWO_PRECISIONS, make(20, threads=2), make(19.5, threads=4)), {}, ("int8", 2, None)),
        *(
            ((make(30, medians=[30] * 5), make(us, threads=2, medians=[us] * 5)), {}, choice)
            for us, choice in ((28.6, ("int8", 1, None)), (28.4, ("int8", 2, None)))
        ),
        ((make(30), make(27, threads=2, medians=[26, 26.5, 27.5, 29, 30])), {}, ("int8", 1, None)),
        # So must larger batches, which keep within the latency.
        ((make(30), make(100, batch=8), make(760, batch=64)), {}, ("int8", 1, 8)),
        (THREE_BATCHES, {}, ("int8", 1, 64)),
        (THREE_BATCHES, {"max_latency": 0.2}, ("int8", 1, 8)),
        (THREE_BATCHES, {"max_latency": 0.05}, ("int8", 1, 1)),
        # They are of the chosen precision and threads.
        ((*TWO_PRECISIONS, make(100, "fp32", batch=8), make(300, batch=8)), {}, ("int8", 1, 1)),
        # The latency is the 90th percentile.
        (TAILED, {"max_latency": 0.08}, ("int8", 1, None)),
        (TAILED, {"max_latency": 0.075}, ("fp32", 1, None)),
        # Accuracy is not given up for speed, but for a small drop.
        (INACCURATE, {}, ("fp32", 1, None)),
        (INACCURATE, {"max_accuracy_drop": 0}, ("fp32", 1, None)),
        (INACCURATE, {"max_accuracy_drop": 0.004}, ("fp32", 1, None)),
        (INACCURATE, {"max_accuracy_drop": 0.005}, ("int8", 1, None)),
        ((make(30, accuracy=0.989), make(60, "fp32")), {}, ("int8", 1, None)),
        # The default drop is relative to what is quick enough.
        (INACCURATE, {"max_latency": 0.04}, ("int8", 1, None)),
        # What failed, or does not agree, is ignored.
        ((make_failed("digits-int8", "died"), make(60, "fp32")), {}, ("fp32", 1, None)),
        ((UNSTABLE, make(50, "fp32")), {}, ("fp32", 1, None)),
    ],
)
def test_choices(rows, limits, choice):
    for variants in (rows, rows[::-1]):
        profile = recommend_one(*variants, **limits)
        assert (profile.precision, profile.threads, profile.batch) == choice


@pytest.mark.parametrize(
    ("rows", "limits", "words"),
    [
        ((make(3000), make(6000, "fp32")), {"max_latency": 2}, r"digits-int8, 1 .* 3\.3 ms"),
        (INACCURATE, {"max_latency": 0.04, "max_accuracy_drop": 0.001}, "98.90%"),
        ((make(9, accuracy=None, accuracy_note="no data"),), {"max_accuracy_drop": 0}, "no data"),
        ((UNSTABLE,), {}, "15%"),
    ],
)
def test_nothing_qualifies(rows, limits, words):
    with pytest.raises(GateError, match=words):
        recommend_one(*rows, **limits)


def test_a_profile_for_each_model():
    rows = [*TWO_PRECISIONS, make(9, family="digits-tiny"), make(8, "fp32", family="own")]
    assert {profile.model: profile.sha256 for profile in recommend(make_report(*rows))} == {
        "digits": {"int8": "sha of digits-int8", "fp32": "sha of digits-fp32"},
        "digits-tiny": {"int8": "sha of digits-tiny-int8"},
        "own": {"fp32": "sha of own-fp32"},
    }
    variant = make_variant("/a/digits-int8.onnx", 9.0)
    (profile,) = recommend(make_report(variant, precisions={variant.model: "int8"}))
    assert profile.sha256 == {"int8": "sha of /a/digits-int8.onnx"}


def test_nothing_to_recommend():
    opencv = make_variant("digits-int8", runtime="opencv")
    for rows in ([], [make_variant("mnist-12")], [opencv], [make_failed("digits-int8", "died")]):
        error_of(ReportError, recommend, make_report(*rows))


def test_limits_out_of_range():
    for field, values in (("max_latency", (-1, NAN)), ("max_accuracy_drop", (-0.1, 1.1, NAN))):
        for value in values:
            assert error_of(ConfigError, RecommendConfig, **{field: value}).field == field


def test_a_benchmark_that_cannot_answer(monkeypatch):
    monkeypatch.setattr("digitkit.benchmark.bench_config.find_mnist", lambda split: None)
    for field, value, measured in (
        ("max_accuracy_drop", 0.1, {"accuracy": False}),
        ("max_accuracy_drop", 0.1, {}),  # there is no MNIST
        ("save", True, {"quick": True}),
        ("save", True, {"threads": (1, 4)}),  # infer would ignore it
    ):
        check = RecommendConfig(**{field: value}).check_benchmark
        assert error_of(ConfigError, check, BenchConfig(**measured), cores=2).field == field


def test_a_benchmark_that_can_answer(tmp_path):
    config = RecommendConfig(max_accuracy_drop=0.1, save=True)
    config.check_benchmark(BenchConfig(threads=(1, 2), data=tmp_path), cores=2)
    RecommendConfig().check_benchmark(BenchConfig(accuracy=False, threads=(9,)), cores=2)
    check = RecommendConfig(save=True).check_benchmark
    error = error_of(ReportError, check, BenchConfig(models=("digits", "own.onnx")), cores=2)
    assert error.subject == "own.onnx"  # only shipped models can be saved
