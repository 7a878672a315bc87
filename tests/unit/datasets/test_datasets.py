import gzip
import hashlib
import http.server
import sys
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from support.errors import error_of
from support.training import write_idx

from digitkit.datasets import mnist
from digitkit.datasets.digits import digit_data, stratified_split
from digitkit.datasets.idx import load_idx, parse_idx
from digitkit.datasets.load import load_test, load_train_and_test
from digitkit.datasets.mnist import MNIST_MD5, download_mnist, find_mnist, load_mnist
from digitkit.errors import DatasetError, InputNotFoundError
from digitkit.images.cv import cv2


@pytest.fixture
def few(mnist_test):
    return mnist_test.take(np.arange(20))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x00\x00\x08", b"\x00\x00\x09\x01\x00\x00\x00\x01x",
        b"\x00\x00\x08\x03\x00\x00",  # a truncated header
        b"\x00\x00\x08\x01\x00\x00\x00\x05abc", b"\x00\x00\x08\x01\x00\x00\x00\x02abc",
        b"\x00\x00\x08\x03" + b"\xff" * 12,
    ],
)  # fmt: skip
def test_bad_idx(data):
    assert error_of(DatasetError, parse_idx, data, "x").subject == "x"


def test_arrays_that_are_not_digits():
    images, labels = np.zeros((2, 28, 28), np.uint8), np.zeros(2, np.uint8)
    for wrong in (images.astype(np.float32), images[:, 1:], images[:1], images[:0]):
        assert error_of(DatasetError, digit_data, wrong, labels, "x").subject == "x"
    assert error_of(DatasetError, digit_data, images, labels + 10, "x").subject == "x"
    assert error_of(DatasetError, digit_data, images[:0], labels[:0], "x").subject == "x"


def test_idx_folders(tmp_path, few):
    write_idx(tmp_path, "test", few)  # images gzipped, labels plain
    assert load_idx(tmp_path, "test").digest == few.digest
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    twin = tmp_path / "t10k-labels-idx1-ubyte.gz"
    twin.write_bytes(gzip.compress(labels.read_bytes()))
    assert labels.name in str(error_of(DatasetError, load_idx, tmp_path, "test"))
    labels.unlink()
    twin.write_bytes(twin.read_bytes()[:-9])
    assert error_of(DatasetError, load_idx, tmp_path, "test").subject == str(twin)
    twin.unlink()
    assert labels.name in str(error_of(DatasetError, load_idx, tmp_path, "test"))
    for missing in (tmp_path / "none", tmp_path / "t10k-images-idx3-ubyte.gz"):
        error_of(InputNotFoundError, load_test, missing)
    (tmp_path / "empty").mkdir()
    error_of(DatasetError, load_test, tmp_path / "empty")


def test_split_is_stratified_seeded_and_disjoint(mnist_train):
    labels = mnist_train.labels
    assert (len(labels), mnist_train.images.shape) == (60_000, (60_000, 28, 28))
    kept, off = stratified_split(labels, 1 / 12, 3)
    assert len(np.intersect1d(kept, off)) == 0
    assert len(kept) + len(off) == len(labels)
    fractions = np.bincount(labels[off]) / np.bincount(labels)
    assert fractions == pytest.approx(np.full(10, 1 / 12), abs=1e-3)
    assert np.array_equal(off, stratified_split(labels, 1 / 12, 3)[1])
    assert not np.array_equal(off, stratified_split(labels, 1 / 12, 4)[1])
    assert len(stratified_split(labels, 0.0, 0)[1]) == 0


def write_class_folders(folder, one_of_each, copies):
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        for copy in range(copies):
            image = cv2.resize(one_of_each[digit], (40 + copy, 50))
            image = 255 - image if copy % 2 else image
            cv2.imwrite(str(folder / str(digit) / f"{copy}.png"), image)
    return folder


def test_class_folders(tmp_path, one_of_each):
    folder = write_class_folders(tmp_path / "mine/train", one_of_each, copies=3)
    data = load_test(folder)
    assert len(data) == 30
    assert data.images[:, 0].max() == 0  # ink bright on dark, whatever the file's polarity
    split = load_train_and_test(folder)
    assert (len(split.train), len(split.test)) == (20, 10)
    assert split.train.digest == load_train_and_test(folder).train.digest
    write_class_folders(tmp_path / "mine/test", one_of_each, copies=1)
    both = load_train_and_test(tmp_path / "mine")
    assert (len(both.train), len(both.test), len(load_test(tmp_path / "mine"))) == (30, 10, 10)


def test_class_folder_problems(tmp_path, one_of_each):
    folder = write_class_folders(tmp_path, one_of_each, copies=1)
    error = error_of(DatasetError, load_train_and_test, folder)
    assert (error.subject, "hold out 15%" in error.problem) == (str(folder), True)
    png, jpg = folder / "7/0.png", folder / "7/0.jpg"
    jpg.write_bytes(png.read_bytes())
    assert "0.jpg and 0.png" in str(error_of(DatasetError, load_test, folder))
    jpg.rename(folder / "7/O.png").rename(folder / "7/o.png")
    (folder / "7/O.png").write_bytes(png.read_bytes())
    twins = str(error_of(DatasetError, load_test, folder))
    assert "O.png and o.png have the same name but for suffix and case" in twins
    (folder / "7/O.png").unlink()
    (folder / "7/o.png").rename(jpg)
    jpg.write_bytes(b"nothing")
    png.unlink()
    assert "0.jpg" in str(error_of(DatasetError, load_test, folder))
    jpg.unlink()
    assert error_of(DatasetError, load_test, folder).subject == str(folder / "7")
    (folder / "7").rmdir()
    assert "digit 7" in str(error_of(DatasetError, load_test, folder))


def test_download_checks_digests_and_tries_the_next_mirror(tmp_path, monkeypatch):
    web, cache, reports = tmp_path / "web", tmp_path / "cache", []
    web.mkdir()
    for stem in MNIST_MD5:
        (web / f"{stem}.gz").write_bytes(gzip.compress(stem.encode()))
    digests = {stem: hashlib.md5(stem.encode()).hexdigest() for stem in MNIST_MD5}
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(web))
    monkeypatch.setattr(handler.func, "log_message", lambda *args: None)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setattr(mnist, "MNIST_MD5", digests)
        mirrors = (url + "nothing/", url)
        download_mnist(cache, mirrors=mirrors, progress=lambda *report: reports.append(report))
        assert len(list(cache.iterdir())) == 4
        assert reports[-1][1] == reports[-1][2] > 0
        monkeypatch.setattr(mnist, "MNIST_MD5", dict.fromkeys(digests, "0" * 32))
        error_of(DatasetError, download_mnist, tmp_path / "other", mirrors=(url,))
        server.shutdown()
    assert not (tmp_path / "other").exists()


def test_mnist_in_a_bundle(tmp_path, monkeypatch, mnist_test):
    """The test set is next to the environment; there is no training set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIGITKIT_MNIST", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "__file__", str(tmp_path / "venv/lib/digitkit/datasets/mnist.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    write_idx(tmp_path / "mnist", "test", mnist_test)
    assert find_mnist("test") == tmp_path / "mnist"
    assert find_mnist("train") is None
    assert load_mnist("test").digest == mnist_test.digest


def test_a_named_folder_without_mnist_is_an_error(tmp_path, monkeypatch, mnist_test):
    monkeypatch.setenv("DIGITKIT_MNIST", str(tmp_path))
    error = error_of(DatasetError, find_mnist, "test")
    assert (error.subject, "DIGITKIT_MNIST" in error.problem) == (str(tmp_path), True)
    write_idx(tmp_path, "test", mnist_test)
    assert find_mnist("test") == tmp_path


def test_unreadable_folders_are_skipped_and_changed_files_refused(tmp_path, monkeypatch, few):
    is_really_file = Path.is_file

    def is_file(path):
        if path.is_relative_to(tmp_path / "theirs"):  # root may look everywhere
            raise PermissionError(13, "Permission denied", str(path))
        return is_really_file(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    monkeypatch.setenv("DIGITKIT_MNIST", str(tmp_path / "theirs"))
    write_idx(tmp_path / "data/mnist", "test", few)
    monkeypatch.chdir(tmp_path)
    assert find_mnist("test") == Path("data/mnist")
    assert error_of(DatasetError, load_mnist, "test").subject.startswith("data/mnist")
