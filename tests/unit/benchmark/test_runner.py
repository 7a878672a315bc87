"""A benchmark from its configuration to its report; what a process measures: test_measuring.py."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import reports as benches

from digitkit.benchmark import runner
from digitkit.benchmark.runner import BenchConfig, run_benchmark
from digitkit.datasets.load import load_test
from digitkit.errors import InputNotFoundError, ModelError, OutputError
from digitkit.models.registry import models_folder, shipped_files
from digitkit.system.conditions import read_conditions
from digitkit.system.machine import read_machine

TINY = "digits-tiny-int8"
SHORT = {
    "models": (TINY,), "processes": 1, "runs": 1, "seconds": 0, "warmup_runs": 0,
    "warmup_seconds": 0, "paced": 0, "whole": False, "accuracy": False, "command": "x",
    "max_spread": 1e9,
}  # fmt: skip

ORT = {"version": "1.32.0", "build": "x"}


def short(**changes) -> BenchConfig:
    return BenchConfig(**(SHORT | changes))


def measure(**changes):
    return run_benchmark(short(**changes))[0]


# --- the configuration -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"models": ()}, "models is empty"),
        ({"runtimes": ()}, "runtimes is empty"),
        ({"threads": ()}, "threads is empty"),
        ({"threads": (1, 0)}, "threads holds 0"),
        ({"batches": (-1,)}, "batches holds -1"),
        ({"workers": (0,)}, "workers holds 0"),
        ({"threads": (1, 2, 1)}, "threads holds something twice"),
        ({"runtimes": ("opencv", "opencv")}, "runtimes holds something twice"),
        ({"processes": 0}, "processes is 0"),
        ({"runs": 0}, "runs is 0"),
        ({"seconds": -0.1}, "seconds is -0.1"),
        ({"seconds": float("nan")}, "seconds is nan"),
        ({"seconds": float("inf")}, "seconds is inf"),
        ({"paced": float("nan")}, "paced is nan"),
        ({"max_spread": float("nan")}, "max_spread is nan"),  # it would let all pass
        ({"warmup_runs": -1}, "warmup_runs is -1"),
        ({"runtimes": ("tflite",)}, "'tflite' is no runtime; there is onnxruntime, opencv"),
    ],
)
def test_what_cannot_be_measured(changes, error):
    with pytest.raises(ValueError, match=f"^{error}"):
        BenchConfig(**changes)


def test_a_full_run_is_as_long_as_it_should_be():
    config = BenchConfig()
    assert (config.processes, config.runs, config.seconds, config.quick) == (5, 1024, 10, False)
    assert config.whole
    assert config.accuracy
    assert config.paced > 0
    assert BenchConfig(**runner.QUICK).processes >= 2


# --- models ----------------------------------------------------------------------------------


def names(*given: object) -> list[str]:
    return [name for name, _ in runner.find_models([str(name) for name in given])]


def test_models_are_found_by_name_by_stem_and_by_file(tmp_path):
    assert names("digits") == ["digits-int8", "digits-fp32"]
    assert names("digits-fp32") == ["digits-fp32"]
    assert names(models_folder() / f"{TINY}.onnx") == [TINY]
    ((_, path),) = runner.find_models([TINY])
    assert path == shipped_files(TINY)[0].resolve()


def test_a_model_is_measured_once(monkeypatch):
    folder = models_folder()
    monkeypatch.chdir(folder)
    file = f"{TINY}.onnx"
    assert names(TINY, "digits-tiny", file, folder / file, f"../{folder.name}/{file}") == [
        *(TINY, "digits-tiny-fp32")
    ]


def test_files_of_the_same_name_are_told_apart(tmp_path):
    ours, other = models_folder() / f"{TINY}.onnx", tmp_path / f"{TINY}.onnx"
    other.write_bytes(ours.read_bytes())
    assert names(TINY, other) == [str(ours), str(other)]


@pytest.mark.parametrize("name", ["nothing", "none.onnx", "", "digits-int4"])
def test_a_model_that_is_not_there(name):
    with pytest.raises(InputNotFoundError):
        runner.find_models([name])


def test_a_folder_is_no_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    with pytest.raises(InputNotFoundError, match="digits"):
        runner.find_models(["digits"])


# --- a real run ------------------------------------------------------------------------------


def test_a_real_run(quick_run, small_data):
    report, samples = quick_run
    assert report.quick
    assert [v.name for v in report.variants] == [TINY, f"{TINY}, batch 2"]
    assert set(samples) == {"0/0", "0/0/paced", "1/0", "1/0/paced"}
    closed = (samples["0/0"], samples["1/0"])
    for variant, taken in zip(report.variants, closed, strict=True):
        assert variant.error is None
        assert taken.dtype == np.int64
        assert len(taken) == variant.latency.runs >= 64
        assert variant.p50_us == pytest.approx(np.median(taken) / 1000)
        assert variant.p50_low_us == variant.p50_high_us == variant.p50_us
        assert variant.images_per_second == pytest.approx(variant.batch / variant.p50_us * 1e6)
        assert variant.latency.p999_us is None or variant.latency.runs >= 10_000
        assert (variant.accuracy_count, variant.accuracy > 0.95) == (300, True)
        assert variant.import_ms > 0
        assert variant.create_ms > 0
        assert variant.first_ms > 0
        assert variant.options["intra_op_num_threads"] == 1
        assert variant.options["session.intra_op.allow_spinning"] == "0"
        assert (variant.paced.hz, variant.paced.calls) == (250, 10)
        (together,) = variant.throughput
        assert (together.workers, together.error) == (2, None)
        assert together.images_per_second > 0
    first, second = report.variants
    assert first.ratio == 1.0
    assert second.ratio == pytest.approx(second.p50_us / 2 / first.p50_us)
    assert [s.picture for s in report.stages] == ["28×28", "640×480", "12 MP"]
    assert [s.digits for s in report.stages] == [1, 12, 12]
    assert [c.model for c in report.cold_starts] == [TINY, runner.INTERPRETER]
    ours, bare = report.cold_starts
    assert ours.min_ms <= ours.p50_ms <= ours.max_ms
    # Not by their times: a machine that stalls may do so during the one start of either kind.
    assert bare.peak_mb is None or bare.peak_mb < ours.peak_mb
    (facts,) = report.models
    assert facts.card_accuracy > 0.99
    assert report.settings["data"] == str(small_data)
    assert report.environment.versions["onnxruntime"]


# --- one that is measured by nobody ----------------------------------------------------------


class Workers:
    """Answers for the fresh processes; may be told what a variant's processes find."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict]] = []
        self.medians: dict[str, list[int | list[int]]] = {}  # a list: runs, over and over
        self.clocks: list[list[list[float]]] = []
        self.answers: dict[str, dict] = {}

    def ask(self, run, job, **values):
        self.asked.append((job, values))
        if job in self.answers:
            return self.answers[job]
        if job == "facts":
            own = "digits" in values["model"]
            facts = {
                "sha256": "0" * 64, "bytes": 1, "precision": "int8" if own else None,
                "card_accuracy": 0.995 if own else None, "card_count": 10_000 if own else None,
            }  # fmt: skip
            return {"onnxruntime": ORT, "fixed_batch": False, "facts": facts}
        if job == "accuracy":
            return {"right": 99, "count": 100, "data": "some digits"}
        asked = [v for j, v in self.asked if j == "steady" and v["model"] == values["model"]]
        medians = self.medians.get(Path(values["model"]).stem, [30_000])
        np.save(values["samples"], np.resize(medians[(len(asked) - 1) % len(medians)], 10))
        clocks = self.clocks.pop(0) if self.clocks else [[], []]
        return {
            "import_ms": 1.0, "create_ms": 2.0, "first_ms": 3.0, "resident_import_mb": None,
            "resident_load_mb": None, "peak_mb": None, "cpu_s_per_1000_images": 0.1,
            "frequencies_mhz": clocks, "paced": None, "options": {},
        }  # fmt: skip

    def jobs(self, job: str) -> list[dict]:
        return [values for name, values in self.asked if name == job]


@pytest.fixture
def workers(monkeypatch):
    found = Workers()
    monkeypatch.setattr(
        runner._Run, "_ask", lambda run, job, **values: found.ask(run, job, **values)
    )
    return found


@pytest.fixture
def moments(monkeypatch):
    """The conditions before and after; calm if not told otherwise."""
    told = {"before": benches.CALM, "after": benches.CALM}
    turn = iter(("before", "after"))
    monkeypatch.setattr(runner, "read_machine", lambda: benches.MACHINE)
    monkeypatch.setattr(runner, "read_conditions", lambda: told[next(turn)])
    return told


def test_variants_take_turns(workers):
    measure(models=("digits",), processes=3)
    rounds = [Path(values["model"]).stem for values in workers.jobs("steady")]
    assert rounds == [
        *("digits-int8", "digits-fp32"), *("digits-fp32", "digits-int8"),
        *("digits-int8", "digits-fp32"),
    ]  # fmt: skip


def test_the_length_is_shared_among_the_processes(workers):
    measure(processes=3, runs=100, seconds=6.0, paced=10, warmup_runs=7, warmup_seconds=0.5)
    for values in workers.jobs("steady"):
        assert (values["runs"], values["seconds"]) == (34, 2.0)
        assert (values["warmup_runs"], values["warmup_seconds"]) == (7, 0.5)
        assert values["paced_calls"] * 3 >= runner.PACED_CALLS


def test_the_headline_is_the_median_of_the_processes_medians(workers):
    workers.medians[TINY] = [30_000, 50_000, 31_000]
    (variant,) = measure(processes=3).variants
    assert (variant.p50_us, variant.p50_low_us, variant.p50_high_us) == (31, 30, 50)
    assert variant.spread == pytest.approx(20 / 31)
    assert [process.p50_us for process in variant.processes] == [30, 50, 31]


def test_ratios_are_of_pairs_in_the_same_round(workers):
    """A slow round is slow for both."""
    workers.medians = {
        "digits-int8": [10_000, 20_000, 10_000], "digits-fp32": [15_000, 30_000, 16_000]
    }  # fmt: skip
    first, second = measure(models=("digits",), processes=3).variants
    assert (first.ratio, second.ratio) == (1.0, 1.5)


@pytest.mark.parametrize("batches", [(1,), (3,)])
def test_the_first_variants_own_ratio_is_1_to_the_last_bit(workers, batches):
    """Where the middle lies between two runs, two ways to work it out may differ in the last."""
    workers.medians[TINY] = [[ns, ns + 1] for ns in (28_000, 28_002, 28_003)]
    (variant,) = measure(processes=3, batches=batches).variants
    assert variant.ratio == 1.0


def test_the_ratio_is_of_one_image(workers):
    report = measure(batches=(1, 4))
    assert [v.ratio for v in report.variants] == [1.0, 0.25]
    assert report.variants[1].images_per_second == pytest.approx(4 / 30e-6)


def test_the_progress_comes_to_its_end(workers):
    steps = []
    run_benchmark(
        short(models=("digits",), processes=2, accuracy=True),
        lambda what, done, total: steps.append((what, done, total)),
    )
    assert [done for _, done, _ in steps] == list(range(len(steps)))
    assert {total for _, _, total in steps} == {len(steps)}
    assert steps[0][0] == "round 1: digits-int8"


# --- trust -----------------------------------------------------------------------------------


def test_a_calm_run_is_valid(workers, moments):
    report = measure(processes=2)
    assert (report.valid, report.invalid, report.noisy) == (True, (), ())
    assert report.environment.governor == "ondemand"


def test_a_board_that_throttled(workers, moments):
    moments["after"] = replace(benches.CALM, throttled=0x40004)
    report = measure()
    assert not report.valid
    assert report.invalid == ("throttled during the run",)


@pytest.mark.parametrize(
    ("clocks", "invalid"),
    [
        ([[[2400.0], [2400.0]], [[2400.0], [2300.0]]], None),
        (
            [[[2400.0], [2400.0]], [[2400.0], [1800.0]]],
            "the clock fell by 25% during the run, from 2400 to 1800 MHz",
        ),
        (  # and recovered
            [[[2400.0], [1800.0]], [[2400.0], [2400.0]]],
            "the clock fell by 25% during the run, from 2400 to 1800 MHz",
        ),
        (  # three idle cores do not hide it
            [[[800.0, 800, 800, 3000], [800.0] * 4], [[800.0] * 4, [800.0, 800, 2000, 800]]],
            "the clock fell by 73% during the run, from 3000 to 800 MHz",
        ),
        # nor do cores that fall idle mean anything
        ([[[2800.0, 3000, 2900], [3000.0, 800, 800]]] * 2, None),
        ([[[], []]] * 2, None),
    ],
)
def test_a_clock_that_fell(workers, moments, clocks, invalid):
    workers.clocks = clocks
    report = measure(processes=2)
    assert report.invalid == (() if invalid is None else (invalid,))
    assert report.valid is (invalid is None)


def test_processes_that_disagree(workers, moments):
    workers.medians[TINY] = [30_000, 40_000]
    assert measure(processes=2, max_spread=0.29).valid


def test_processes_that_disagree_by_more_than_the_bound(workers, moments):
    workers.medians[TINY] = [30_000, 40_000]
    report = measure(processes=2, max_spread=0.28)
    assert report.invalid == (f"{TINY}: its processes differ by 29%, more than 28%",)


def test_other_programs_at_work(workers, moments):
    moments["after"] = replace(benches.CALM, cpu_seconds=(60.0, 200.0))
    report = measure()
    assert report.valid
    assert report.noisy == ("other processes used 50% of the CPU time during the run",)


def test_real_files_of_a_board_that_throttles(workers, monkeypatch, tmp_path):
    """From vcgencmd to the report."""
    model = tmp_path / "proc/device-tree/model"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"Raspberry Pi 4 Model B Rev 1.5\0")
    words = iter(["throttled=0x0", "throttled=0x20002"])
    answers = {"get_throttled": lambda: next(words), "measure_clock": lambda: "frequency(48)=1"}
    conditions, read = read_conditions, read_machine
    monkeypatch.setattr(runner, "read_machine", lambda: read(tmp_path))
    monkeypatch.setattr(
        runner,
        "read_conditions",
        lambda: conditions(tmp_path, lambda command: answers[command[1]]()),
    )
    report = measure()
    assert report.environment.machine.board == "Raspberry Pi 4 Model B Rev 1.5"
    assert report.invalid == ("frequency capped during the run",)


# --- accuracy --------------------------------------------------------------------------------


def test_accuracy_is_measured_in_the_batches_that_are_timed(workers, small_data):
    report = measure(
        models=("digits",), threads=(1, 2), batches=(1, 8), accuracy=True, data=small_data
    )
    asked = [(Path(v["model"]).stem, v["batch"]) for v in workers.jobs("accuracy")]
    assert sorted(asked) == [
        *(("digits-fp32", 1), ("digits-fp32", 8), ("digits-int8", 1), ("digits-int8", 8))
    ]
    assert {v.accuracy for v in report.variants} == {0.99}
    assert {v.accuracy_data for v in report.variants} == {"some digits"}


def test_without_mnist(workers, monkeypatch):
    monkeypatch.setattr(runner, "find_mnist", lambda split: None)
    report = measure(accuracy=True)
    (variant,) = report.variants
    assert (variant.accuracy, variant.accuracy_count) == (None, None)
    assert "MNIST's test set is not on this disk" in variant.accuracy_note
    assert report.models[0].card_accuracy == 0.995
    assert workers.jobs("accuracy") == []


def test_accuracy_that_cannot_be_measured(workers):
    workers.answers["accuracy"] = {"error": "it died"}
    (variant,) = measure(accuracy=True).variants
    assert (variant.accuracy, variant.accuracy_note, variant.error) == (None, "it died", None)


def test_data_that_is_missing_is_said_at_once(workers, tmp_path):
    with pytest.raises(InputNotFoundError):
        measure(accuracy=True, data=tmp_path / "none")
    assert workers.asked == []


# --- foreign models --------------------------------------------------------------------------


def test_input_scales(workers, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"x")
    measure(models=(TINY, str(other)))
    assert [v["scale"] for v in workers.jobs("steady")] == [None, 1 / 255]
    workers.asked.clear()
    measure(models=(TINY, str(other)), input_scale=0.5)
    assert [v["scale"] for v in workers.jobs("steady")] == [None, 0.5]


def test_an_input_scale_that_nothing_takes(workers):
    with pytest.raises(ModelError, match="an input scale is for foreign models"):
        measure(input_scale=0.5)
    assert workers.jobs("steady") == []


def test_a_fixed_batch(workers, tmp_path):
    other = tmp_path / "other.onnx"
    other.write_bytes(b"x")
    facts = dict.fromkeys(("precision", "card_accuracy", "card_count"))
    facts |= {"sha256": "0" * 64, "bytes": 1}
    workers.answers["facts"] = {"onnxruntime": ORT, "fixed_batch": True, "facts": facts}
    one, many = measure(models=(str(other),), batches=(1, 8), accuracy=True).variants
    assert one.error is None
    assert many.error.endswith("takes one image at a time: its batch is fixed at 1")
    assert many.p50_us is None
    assert len(workers.jobs("steady")) == 1
    assert workers.jobs("accuracy")[0]["batch"] == 1


def test_a_real_foreign_model_of_one_image(tmp_path, small_data):
    """It takes the mean of the upper half of a picture for a score."""
    onnx = pytest.importorskip("onnx")
    weights = np.zeros((784, 10), np.float32)
    weights[:392, 3] = 1
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Flatten", ["pixels"], ["flat"]),
            onnx.helper.make_node("MatMul", ["flat", "w"], ["scores"]),
        ],
        "g",
        [onnx.helper.make_tensor_value_info("pixels", 1, [1, 1, 28, 28])],
        [onnx.helper.make_tensor_value_info("scores", 1, [1, 10])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    path = tmp_path / "foreign.onnx"
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    report = measure(models=(str(path),), batches=(1, 2), accuracy=True, data=small_data)
    one, two = report.variants
    labels = load_test(small_data).labels
    assert one.accuracy == pytest.approx((labels == 3).mean())
    assert one.accuracy_count == 300
    assert two.error == f"{path.name}: takes one image at a time: its batch is fixed at 1"
    (facts,) = report.models
    assert (facts.precision, facts.opset, facts.card_accuracy) == (None, 17, None)
    assert (facts.parameters, facts.op_counts) == (7840, {"Flatten": 1, "MatMul": 1})


# --- processes that fail ---------------------------------------------------------------------


def child(monkeypatch, code: str, job: str = "steady") -> None:
    """Have the processes of a job run other code, with ``out`` the file for the answer."""
    command = runner._command

    def other(name, given, out):
        whole = f"out = {str(out)!r}; given = {str(given)!r}\n{code}"
        return [sys.executable, "-c", whole] if name == job else command(name, given, out)

    monkeypatch.setattr(runner, "_command", other)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import os; os.kill(os.getpid(), 9)", "the process died of SIGKILL"),
        ("import os; os.kill(os.getpid(), 11)", "the process died of SIGSEGV"),
        ("import os; os._exit(7)", "the process failed: code 7"),
        ("import os; os._exit(0)", "the process failed: code 0"),
        ("raise RuntimeError('no\\nway')", "the process failed: way"),
        ("import sys; sys.stderr.buffer.write(b'\\xff\\n'); sys.exit(1)", "the process failed: �"),
        ("open(out, 'w').write('{')", "the process failed: code 0"),
    ],
)
def test_a_process_that_fails(monkeypatch, code, error):
    child(monkeypatch, code)
    report = measure(processes=3, accuracy=True)
    (variant,) = report.variants
    assert (variant.error, variant.p50_us, variant.accuracy) == (error, None, None)
    assert variant.model_sha256 is not None
    assert report.models[0].opset == 18


def test_a_variant_that_failed_is_not_tried_again(monkeypatch):
    tries = []
    command = runner._command
    monkeypatch.setattr(
        runner, "_command", lambda *given: tries.append(given[0]) or command(*given)
    )
    child(monkeypatch, "raise SystemExit(1)")
    measure(processes=3, accuracy=True, workers=(2,))
    assert tries == ["facts"]


def test_a_process_that_hangs(monkeypatch):
    monkeypatch.setattr(runner, "_PATIENCE", 0.5)
    child(monkeypatch, "import time; time.sleep(60)", "facts")
    (variant,) = measure(accuracy=True).variants
    assert variant.error.startswith("gave no answer in ")


def test_garbage_on_standard_output(monkeypatch):
    code = (
        "import json, sys; sys.stdout.buffer.write(b'\\xff\\n\\nready' * 99999); "
        "json.dump({'error': 'as ever'}, open(out, 'w'))"
    )
    child(monkeypatch, code)
    assert measure().variants[0].error == "as ever"


WORKER = """
import json, sys
sys.stdout.buffer.write(b"\\xff \\n\\nloading ")
sys.stdout.write("ready\\n"); sys.stdout.flush()
assert sys.stdin.readline() == "go\\n"
json.dump({"images": 100, "seconds": 0.5}, open(out, "w"))
"""


def test_throughput_of_processes_that_print(workers, monkeypatch):
    child(monkeypatch, WORKER, "throughput")
    (variant,) = measure(workers=(1, 3)).variants
    assert [(t.workers, t.images_per_second) for t in variant.throughput] == [(1, 200), (3, 600)]


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import os; os.kill(os.getpid(), 9)", "died of SIGKILL"),
        (WORKER.replace("json.dump", "raise SystemExit(4); json.dump"), "failed: code 4"),
    ],
)
def test_throughput_of_which_one_fails(workers, monkeypatch, code, error):
    """The others' sum would be taken for all."""
    which = f"import re\nif not given.endswith('job-1.json'):\n    exec({WORKER!r})\nelse:\n"
    child(monkeypatch, which + f"    exec({code!r})", "throughput")
    report = measure(workers=(2,))
    (together,) = report.variants[0].throughput
    assert together.images_per_second is None
    assert together.error == f"one of 2: the process {error}"
    assert report.variants[0].error is None


def test_throughput_of_processes_that_hang(workers, monkeypatch):
    monkeypatch.setattr(runner, "_PATIENCE", 0.5)
    child(monkeypatch, "import time; time.sleep(60)", "throughput")
    (together,) = measure(workers=(2,)).variants[0].throughput
    assert together.images_per_second is None


# --- runtimes and models that do not load ----------------------------------------------------


def test_a_runtime_that_is_not_installed(monkeypatch, tmp_path):
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino/__init__.py").write_text("raise ImportError('libtbb.so.12: no such')")
    monkeypatch.syspath_prepend(tmp_path)
    ours, other = measure(runtimes=("onnxruntime", "openvino")).variants
    assert ours.error is None
    assert ours.p50_us > 0
    assert other.name == f"{TINY}, openvino"
    assert other.error == (
        "OpenVINO does not load (libtbb.so.12: no such); pip install openvino brings it"
    )


def test_the_first_that_works_is_the_ratios_base(monkeypatch, tmp_path):
    (tmp_path / "openvino").mkdir()
    (tmp_path / "openvino/__init__.py").write_text("raise ImportError('no')")
    monkeypatch.syspath_prepend(tmp_path)
    report, samples = run_benchmark(short(runtimes=("openvino", "onnxruntime")))
    assert [v.ratio for v in report.variants] == [None, 1.0]
    assert set(samples) == {"1/0"}  # numbered as the report's variants


def test_a_model_that_cannot_be_loaded(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"garbage")
    report = measure(models=(str(bad), TINY))
    broken, fine = report.variants
    assert broken.error.startswith(f"{bad.name}: ONNX Runtime ")
    assert "cannot load it (7 bytes)" in broken.error
    assert (fine.error, fine.ratio) == (None, 1.0)
    assert report.models[0].sha256 == hashlib.sha256(b"garbage").hexdigest()


def test_all_models_fail(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"")
    report = measure(models=(str(bad),), whole=True, accuracy=True, workers=(2,))
    assert report.variants[0].error
    assert (report.stages, report.cold_starts) == ((), ())


@pytest.mark.parametrize("job", ["facts", "steady", "accuracy", "stages"])
def test_what_a_process_says_of_a_file_names_no_folder(job, tmp_path):
    """Reports travel."""
    run = runner._Run(short(), [], tmp_path, lambda what, done, total: None)
    file = tmp_path / "broken.onnx"
    file.write_bytes(b"no model")
    said = {
        "facts": {}, "accuracy": {"runtime": "onnxruntime", "batch": 1, "scale": 1.0, "data": None},
        "stages": {"threads": 1, "scale": 1.0, "pictures": [], "runs": []},
        "steady": {
            "runtime": "onnxruntime", "threads": 1, "batch": 1, "scale": 1.0, "warmup_runs": 0,
            "warmup_seconds": 0, "runs": 1, "seconds": 0, "paced": 0, "paced_calls": 0,
            "samples": str(tmp_path / "s.npy"),
        },
    }[job]  # fmt: skip
    error = run._ask(job, model=str(file), **said)["error"]
    assert "broken.onnx" in error
    assert str(tmp_path) not in error


def test_a_file_that_is_no_digit_model(tmp_path):
    report = measure(models=(str(models_folder() / "finder.onnx"),))
    assert "finder.onnx: " in report.variants[0].error


# --- what is written -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "beside"),
    [
        ("r.json", "r.samples.npz"),
        ("r.2026-01-02", "r.2026-01-02.samples.npz"),  # tomorrow's must not take their place
        ("r", "r.samples.npz"),
        (".json", ".samples.npz"),
    ],
)
def test_each_report_has_samples_of_its_own(name, beside):
    assert runner.samples_file(Path("a", name)) == Path("a", beside)


def test_the_samples_lie_beside_the_report(workers, tmp_path):
    workers.medians["digits-int8"] = [10_000, 20_000]
    report, samples = run_benchmark(short(models=("digits",), processes=2))
    path = tmp_path / "new" / "pi.4.json"
    written = runner.write(report, samples, path)
    assert written.samples == "pi.4.samples.npz"
    values = json.loads(path.read_text("utf-8"))
    assert values == json.loads(json.dumps(written.to_json()))
    assert sorted(p.name for p in path.parent.iterdir()) == ["pi.4.json", "pi.4.samples.npz"]
    with np.load(path.with_name(values["samples"])) as kept:
        assert set(kept) == {"0/0", "0/1", "1/0", "1/1"}
        assert kept["0/1"].tolist() == [20_000] * 10
        assert {kept[name].dtype.name for name in kept} == {"int64"}


def test_a_report_that_cannot_be_written(workers, tmp_path):
    report, samples = run_benchmark(short())
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        runner.write(report, samples, tmp_path / "file" / "r.json")


# --- interrupts ------------------------------------------------------------------------------


def ps(*options: str) -> list[str]:
    command = ["ps", "-ww", *options]
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()


def working(pid: int) -> list[str]:
    """Processes that a process has started and that still run."""
    listed = ps("-o", "stat=,pid=,args=", "--ppid", str(pid))
    alive = [line for line in listed if not line.startswith("Z") and "ps -ww" not in line]
    return [line.split(maxsplit=1)[1] for line in alive]  # whether one sleeps or runs may change


needs_ps = pytest.mark.skipif(shutil.which("ps") is None, reason="needs ps")


@needs_ps
def test_an_interrupt_ends_the_processes_side_by_side(workers, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = working(os.getpid())
    # Once the first one's pipe is being emptied, all are started. The folder's own name may have
    # a -0 in it, as pytest's first has.
    code = (
        "import os, signal, time\n"
        "if given.endswith('job-0.json'):\n"
        "    for _ in range(2000): os.write(1, b'not yet\\n' * 100)\n"
        f"    os.kill({os.getpid()}, signal.SIGINT)\n"
        "time.sleep(60)"
    )
    child(monkeypatch, code, "throughput")
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            measure(workers=(2,))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert working(os.getpid()) == before
    assert list(tmp_path.iterdir()) == []


@needs_ps
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_nothing_behind(tmp_path, number):
    (tmp_path / "tmp").mkdir()
    report = tmp_path / "r.json"
    with subprocess.Popen(
        [sys.executable, "-m", "digitkit", "bench", "--models", TINY, "--json", str(report)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        # A shell's background job has SIGINT ignored, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as command:  # fmt: skip
        for _ in range(2400):
            found = working(command.pid)
            # Asleep, it waits for what it has started; before, it may be about to note that.
            if any("'steady'" in line for line in found) and ps(
                "-o", "stat=", "-p", str(command.pid)
            )[0].startswith("S"):
                break
            time.sleep(0.05)
        assert len(found) == 1, found
        command.send_signal(number)
        _, errors = command.communicate(timeout=60)
    assert command.returncode in (130, 128 + number)
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == [tmp_path / "tmp"]
    assert list((tmp_path / "tmp").iterdir()) == []
    assert str(tmp_path / "tmp") not in "\n".join(ps("-eo", "args="))


def test_whole_pictures_that_cannot_be_read(workers):
    """A small board runs out of memory at 12 megapixels; the other figures are not lost."""
    workers.answers["stages"] = {"error": "out of memory"}
    workers.answers["cold_start"] = {"error": "killed"}
    report = measure(whole=True)
    assert report.variants[0].error is None
    assert {stage.error for stage in report.stages} == {"out of memory"}
    assert {start.error for start in report.cold_starts} == {"killed"}
    from digitkit.benchmark import report as reports

    lines = reports.verdicts(report.to_json())
    assert "not run: 12 MP with digits-tiny-int8: out of memory" in lines
    assert "not run: digitkit infer with digits-tiny-int8: killed" in lines
    assert "None" not in reports.markdown(report.to_json())


def test_processes_that_are_all_put_aside_alike_are_noisy(workers):
    """They agree with each other, and are slow: CPU time tells."""
    report = measure()  # the stand-in's runs take 30 µs; their CPU time is another matter
    (variant,) = report.variants
    slow = replace(variant, cpu_s_per_1000_images=variant.latency.mean_us / 1000 / 3)
    assert runner._held_by_others(slow) == pytest.approx(2 / 3)
    assert runner._held_by_others(replace(slow, threads=2)) is None
    assert runner._held_by_others(replace(slow, cpu_s_per_1000_images=1e9)) == 0.0


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        ({"paced": 0.001}, 10_000),  # 10 of 50 calls in each process
        ({"paced": 0.001, "quick": True, "processes": 2}, 5_000),
        ({"warmup_seconds": 5_000.0}, 5_000),
        ({"seconds": 5_000.0, "paced": 0.0}, 5_000),
    ],
)
def test_a_process_is_not_given_up_before_it_can_be_done(asked, least):
    assert runner._patience(runner.BenchConfig(**asked)) > least
    assert runner._patience(runner.BenchConfig(paced=1e-300)) * 1000 < 2**31
