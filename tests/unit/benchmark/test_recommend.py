from __future__ import annotations

import pytest
from support.reports import make_failed, make_report, make_variant

from digitkit.benchmark.config import BenchConfig
from digitkit.benchmark.recommend import RecommendConfig, recommend
from digitkit.errors import ConfigError, GateError, ReportError


def one(us: float, kind: str = "int8", threads: int = 1, batch: int = 1, **changes):
    model = f"{changes.pop('family', 'digits')}-{kind}"
    name = f"{model}, {threads} threads, batch {batch}"
    return make_variant(model, us, threads=threads, batch=batch, name=name, **changes)


def chosen(*variants, **limits):
    (profile,) = recommend(make_report(*variants), RecommendConfig(**limits))
    return profile.precision, profile.threads, profile.batch


def test_the_faster_precision():
    profile = recommend(make_report(one(30), one(60, "fp32")))[0]
    assert (profile.model, profile.precision, profile.threads, profile.batch) == (
        *("digits", "int8", 1, None),
    )
    assert (profile.p50_us, profile.accuracy) == (30, 0.99)
    assert profile.images_per_second == pytest.approx(1e6 / 30)
    assert profile.why == "int8 takes 0.50 times as long as fp32"
    assert profile.sha256 == {"int8": "sha of digits-int8", "fp32": "sha of digits-fp32"}
    assert (profile.onnxruntime, profile.cpu) == ("1.32.0", "Cortex-A76")
    assert profile.created == "2026-01-02T03:04:05+00:00"


def test_the_order_of_the_variants_does_not_matter():
    rows = [one(30), one(60, "fp32"), one(20, threads=2), one(19.5, threads=4)]
    assert chosen(*rows) == chosen(*rows[::-1]) == ("int8", 2, None)


def test_fp32_where_it_is_faster():
    assert chosen(one(30), one(25, "fp32"))[0] == "fp32"


def test_without_a_sure_difference_the_more_accurate():
    wide = {"medians": [28, 29, 30, 31, 32]}
    assert chosen(one(30, **wide), one(31, "fp32", accuracy=0.9905, **wide))[0] == "fp32"
    assert chosen(one(30, accuracy=0.9905, **wide), one(29, "fp32", **wide))[0] == "int8"


@pytest.mark.parametrize(
    ("us", "threads"), [(29, 1), (28.6, 1), (28.4, 2), (15, 2), (31, 1), (60, 1)]
)
def test_more_threads_must_be_worth_it(us, threads):
    still = {"medians": [us] * 5}
    assert chosen(one(30, medians=[30] * 5), one(us, threads=2, **still))[1] == threads


def test_threads_whose_gain_is_not_sure_are_not_worth_it():
    assert chosen(one(30), one(27, threads=2, medians=[26, 26.5, 27.5, 29, 30]))[1] == 1


def test_batches():
    rows = [one(30), one(100, batch=8), one(760, batch=64)]  # 33, 80, 84 images a millisecond
    assert chosen(*rows) == ("int8", 1, 8)  # a larger batch must be worth it, too
    (profile,) = recommend(make_report(*rows))
    assert profile.p50_us == 30
    assert profile.images_per_second == pytest.approx(80_000)
    assert profile.why == "batches of 8 reach 80,000 images/s, batches of 1 33,333"


def test_batches_keep_within_the_latency():
    rows = [one(30), one(100, batch=8), one(500, batch=64)]
    assert chosen(*rows)[2] == 64
    assert chosen(*rows, max_latency=0.2)[2] == 8
    assert chosen(*rows, max_latency=0.05)[2] == 1


def test_the_batch_is_of_the_chosen_precision_and_threads():
    rows = [one(30), one(60, "fp32"), one(100, "fp32", batch=8), one(300, batch=8)]
    assert chosen(*rows) == ("int8", 1, 1)


# --- limits ----------------------------------------------------------------------------------


def test_the_latency_is_of_nine_in_ten():
    rows = [one(30, p90_us=80.0), one(60, "fp32", p90_us=70.0)]
    assert chosen(*rows)[0] == "int8"
    assert chosen(*rows, max_latency=0.08)[0] == "int8"
    assert chosen(*rows, max_latency=0.075)[0] == "fp32"


def test_nothing_is_quick_enough():
    with pytest.raises(GateError, match=r"digits-int8, 1 threads, batch 1 with 3\.3 ms"):
        chosen(one(3000), one(6000, "fp32"), max_latency=2)


@pytest.mark.parametrize(
    ("drop", "precision"), [(None, "fp32"), (0, "fp32"), (0.004, "fp32"), (0.005, "int8")]
)
def test_accuracy_is_not_sold_for_speed(drop, precision):
    rows = [one(30, accuracy=0.985), one(60, "fp32")]
    assert chosen(*rows, max_accuracy_drop=drop)[0] == precision


def test_a_small_drop_is_allowed_by_default():
    assert chosen(one(30, accuracy=0.989), one(60, "fp32"))[0] == "int8"


def test_the_default_drop_is_from_what_is_quick_enough():
    rows = [one(30, accuracy=0.95), one(60, "fp32")]
    assert chosen(*rows, max_latency=0.04)[0] == "int8"
    with pytest.raises(GateError, match="98.90%"):
        chosen(*rows, max_latency=0.04, max_accuracy_drop=0.001)


def test_a_reason_says_what_is_too_slow_or_wrong():
    rows = [one(30, accuracy=0.95), one(60, "fp32")]
    assert recommend(make_report(*rows))[0].why == (
        "fp32 takes 2.00 times as long as int8 and is 4.00 points more accurate (int8 is too slow "
        "or not accurate enough)"
    )


def test_unknown_accuracy():
    rows = [one(30, accuracy=None, accuracy_note="no MNIST here"), one(60, "fp32", accuracy=None)]
    assert chosen(*rows)[0] == "int8"
    assert recommend(make_report(*rows))[0].accuracy is None
    with pytest.raises(GateError, match="no MNIST here"):
        chosen(*rows, max_accuracy_drop=0.01)


# --- models ----------------------------------------------------------------------------------


def test_an_answer_for_each_model():
    rows = [one(30), one(60, "fp32"), one(9, family="digits-tiny"), one(8, "fp32", family="own")]
    found = recommend(make_report(*rows))
    assert [profile.model for profile in found] == ["digits", "digits-tiny", "own"]
    for profile in found:  # each with its own files
        assert set(profile.sha256.values()) == {
            f"sha of {profile.model}-{kind}" for kind in profile.sha256
        }
    assert [*found[0].sha256] == ["int8", "fp32"]
    assert found[1].why == "nothing else was measured"


def test_a_model_under_a_path():
    variant = make_variant("/a/digits-int8.onnx", 9.0)
    values = make_report(variant, precisions={"/a/digits-int8.onnx": "int8"})
    assert recommend(values)[0].sha256 == {"int8": "sha of /a/digits-int8.onnx"}


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [make_variant("mnist-12", 90.0)],
        [make_variant("digits-int8", 9.0, runtime="opencv")],
        [make_failed("digits-int8", "died")],
    ],
)
def test_nothing_to_recommend(rows):
    with pytest.raises(ReportError):
        recommend(make_report(*rows))


def test_what_failed_is_passed_over():
    rows = [make_failed("digits-int8", "died"), one(60, "fp32")]
    assert chosen(*rows) == ("fp32", 1, None)


def test_a_variant_whose_processes_differ_is_passed_over():
    wild = one(20, medians=[15, 18, 20, 25, 30])
    values = make_report(wild, one(50, "fp32"))
    assert recommend(values)[0].precision == "fp32"
    with pytest.raises(GateError, match="15%"):
        recommend(make_report(wild))


# --- the configuration -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("max_latency", value) for value in (-1, float("nan"))),
        *(("max_accuracy_drop", value) for value in (-0.1, 1.1, float("nan"))),
    ],
)
def test_limits_out_of_range(field, value):
    with pytest.raises(ConfigError) as error:
        RecommendConfig(**{field: value})
    assert error.value.field == field


@pytest.mark.parametrize(
    ("config", "measured", "field"),
    [
        ({"max_accuracy_drop": 0.1}, {"accuracy": False}, "max_accuracy_drop"),
        ({"max_accuracy_drop": 0.1}, {}, "max_accuracy_drop"),  # there is no MNIST
        ({"save": True}, {"quick": True}, "save"),
        ({"save": True}, {"threads": (1, 4)}, "save"),  # infer would ignore it
    ],
)
def test_a_benchmark_that_cannot_answer(monkeypatch, config, measured, field):
    monkeypatch.setattr("digitkit.benchmark.config.find_mnist", lambda split: None)
    with pytest.raises(ConfigError) as error:
        RecommendConfig(**config).check_benchmark(BenchConfig(**measured), cores=2)
    assert error.value.field == field


def test_a_benchmark_that_can_answer(tmp_path):
    config = RecommendConfig(max_accuracy_drop=0.1, save=True)
    config.check_benchmark(BenchConfig(threads=(1, 2), data=tmp_path), cores=2)
    RecommendConfig().check_benchmark(BenchConfig(accuracy=False, threads=(9,)), cores=2)


def test_only_shipped_models_can_be_saved():
    with pytest.raises(ReportError) as error:
        RecommendConfig(save=True).check_benchmark(BenchConfig(models=("digits", "own.onnx")), 2)
    assert error.value.subject == "own.onnx"
