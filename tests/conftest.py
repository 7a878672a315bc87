import os
import signal
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from support.training import train_calibrated, train_config, write_idx

from digitkit.datasets.digits import DigitData
from digitkit.datasets.mnist import load_mnist
from digitkit.images.cv import cv2
from digitkit.models.registry import models_folder

# What is set where the tests run is nothing to them, nor to the processes that they start.
os.environ["DIGITKIT_PROFILE"] = os.devnull  # what was found best here
os.environ["COLUMNS"] = "80"
for name in (
    *("FORCE_COLOR", "NO_COLOR", "PY_COLORS", "GITHUB_ACTIONS"),  # colours on or off; typer's two
    *("TTY_COMPATIBLE", "TTY_INTERACTIVE", "TERMINAL_WIDTH"),
    "NOTIFY_SOCKET",  # where the tests are a service themselves
):
    os.environ.pop(name, None)
# What the tests serve is on this machine; FFmpeg reads the first, Python either.
for name in ("no_proxy", "NO_PROXY"):
    os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1")))

# What a shell starts in the background ignores Ctrl-C, and so would all that this starts.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time, however slow the machine: what fails here, fails everywhere. Others
# are tried with --hypothesis-profile=default.
hypothesis.settings.register_profile(
    "digitkit",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("digitkit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files of slow tests first: processes that run side by side end together then."""
    items.sort(key=lambda item: "slow" not in item.path.parts)


@pytest.fixture(scope="session")
def mnist_test() -> DigitData:
    return load_mnist("test")


@pytest.fixture(scope="session")
def mnist_train() -> DigitData:
    return load_mnist("train")


@pytest.fixture(scope="session")
def one_of_each(mnist_test) -> list[np.ndarray]:
    """A clear digit of each kind, uint8 [28, 28]."""
    return [mnist_test.images[np.flatnonzero(mnist_test.labels == d)[0]] for d in range(10)]


@pytest.fixture(scope="session")
def shipped() -> Path:
    return models_folder() / "digits-int8.onnx"


@pytest.fixture
def digit_file(tmp_path, one_of_each):
    """Writes a digit as a picture file and returns its path."""

    def write(digit: int, name: str = "digit.png", size: int = 28) -> Path:
        image = cv2.resize(one_of_each[digit], (size, size), interpolation=cv2.INTER_CUBIC)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix or ".png", image)[1].tobytes())
        return path

    return write


@pytest.fixture(scope="session")
def write_mnist(tmp_path_factory, mnist_train, mnist_test):
    """Writes IDX files of so many training and test digits and returns their folder."""

    def write(train: int, test: int) -> Path:
        folder = tmp_path_factory.mktemp("mnist")
        write_idx(folder, "train", mnist_train.take(np.arange(train)))
        write_idx(folder, "test", mnist_test.take(np.arange(test)))
        return folder

    return write


@pytest.fixture(scope="session")
def small_data(write_mnist) -> Path:
    return write_mnist(1500, 300)


@pytest.fixture(scope="session")
def few_digits(write_mnist) -> Path:
    return write_mnist(300, 100)


@pytest.fixture
def small_mnist(monkeypatch, mnist_train, mnist_test):
    """500 images stand for MNIST's training set where it is mixed in, and 100 for its test set."""
    from digitkit.datasets.digits import TrainAndTest
    from digitkit.training import material

    small = TrainAndTest(mnist_train.take(np.arange(500)), mnist_test.take(np.arange(100)))
    load = material.load_train_and_test

    def load_small(folder, **options):
        return small if folder is None else load(folder, **options)

    monkeypatch.setattr(material, "load_train_and_test", load_small)
    return small


@pytest.fixture(scope="session")
def fast_run(tmp_path_factory, few_digits):
    """A run folder after a fifth of a second of training: complete, but not accurate."""
    pytest.importorskip("torch")
    return train_calibrated(train_config(tmp_path_factory.mktemp("runs") / "fast", few_digits))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory, small_data):
    """Six epochs with all that recipe best has: drawn digits, images without a digit."""
    pytest.importorskip("torch")
    changes = {"epochs": "6", "batch_size": "64"}
    out = tmp_path_factory.mktemp("runs") / "tiny"
    return train_calibrated(train_config(out, small_data, changes, "best-tiny"))


@pytest.fixture(scope="session")
def quick_run(small_data):
    """A real benchmark with a bit of everything: its report and its samples."""
    from digitkit.benchmark.bench_config import BenchConfig
    from digitkit.benchmark.runner import run_benchmark

    return run_benchmark(
        BenchConfig(
            models=("digits-tiny-int8",), batches=(1, 2), processes=1, runs=64, seconds=0.02,
            warmup_runs=1, warmup_seconds=0, paced=250.0, workers=(2,), data=small_data,
            max_spread=1e9, quick=True, command="digitkit bench",
        )
    )  # fmt: skip
