from __future__ import annotations

import gzip
import hashlib
import http.server
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from support.training import write_idx

from digitkit.datasets import mnist
from digitkit.datasets.digits import stratified_split
from digitkit.datasets.idx import load_idx, parse_idx
from digitkit.datasets.load import load_test, load_train_and_test
from digitkit.datasets.mnist import MNIST_MD5, download_mnist, find_mnist, load_mnist
from digitkit.errors import DatasetError, InputNotFoundError
from digitkit.images.opencv import cv2


def test_mnist_is_whole_and_has_a_zero(mnist_train, mnist_test):
    assert mnist_train.images.shape == (60_000, 28, 28)
    assert len(mnist_test) == 10_000
    assert (mnist_test.labels == 0).sum() == 980
    assert sorted(set(mnist_train.labels.tolist())) == list(range(10))


def test_idx_round_trip_plain_and_gzipped(tmp_path, mnist_test):
    few = mnist_test.take(np.arange(20))
    write_idx(tmp_path, "test", few)
    assert load_idx(tmp_path, "test").digest == few.digest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "wrong first four bytes"),
        (b"\x00\x00\x08", "wrong first four bytes"),
        (b"\x00\x00\x09\x01\x00\x00\x00\x01x", "wrong first four bytes"),
        (b"\x00\x00\x08\x03\x00\x00", "truncated"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abc", "announces 13"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x02abc", "announces 10"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "damaged or incomplete"),
    ],
)
def test_bad_idx(data, message):
    with pytest.raises(DatasetError, match=message):
        parse_idx(data, "x")


def test_idx_folder_problems(tmp_path, mnist_test):
    few = mnist_test.take(np.arange(20))
    write_idx(tmp_path, "test", few)
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    twin = tmp_path / "t10k-labels-idx1-ubyte.gz"
    twin.write_bytes(gzip.compress(labels.read_bytes()))
    with pytest.raises(DatasetError, match="holds both"):
        load_idx(tmp_path, "test")
    labels.unlink()
    twin.write_bytes(twin.read_bytes()[:-9])
    with pytest.raises(DatasetError, match="is damaged"):
        load_idx(tmp_path, "test")
    twin.unlink()
    with pytest.raises(DatasetError, match="has no t10k-labels"):
        load_idx(tmp_path, "test")
    with pytest.raises(InputNotFoundError, match="is no folder"):
        load_test(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match="holds neither"):
        load_test(tmp_path / "empty")


def test_split_is_stratified_seeded_and_disjoint(mnist_train):
    labels = mnist_train.labels
    kept, off = stratified_split(labels, 1 / 12, 3)
    assert len(np.intersect1d(kept, off)) == 0
    assert len(kept) + len(off) == len(labels)
    for digit in range(10):
        share = (labels[off] == digit).sum() / (labels == digit).sum()
        assert share == pytest.approx(1 / 12, abs=1e-3)
    again = stratified_split(labels, 1 / 12, 3)[1]
    other = stratified_split(labels, 1 / 12, 4)[1]
    assert np.array_equal(off, again)
    assert not np.array_equal(off, other)
    assert len(stratified_split(labels, 0.0, 0)[1]) == 0


def class_folders(folder, one_of_each, copies=3):
    for digit in range(10):
        (folder / str(digit)).mkdir(parents=True)
        for copy in range(copies):
            image = cv2.resize(one_of_each[digit], (40 + copy, 50))
            image = 255 - image if copy % 2 else image
            cv2.imwrite(str(folder / str(digit) / f"{copy}.png"), image)
    return folder


def test_class_folders_go_through_the_pixel_path(tmp_path, one_of_each):
    folder = class_folders(tmp_path / "mine", one_of_each)
    data = load_test(folder)
    assert len(data) == 30
    assert data.images[:, 0].max() == 0  # ink bright on dark, whatever the file's polarity
    both = load_train_and_test(folder)
    assert len(both.train) == 20
    assert len(both.test) == 10
    again = load_train_and_test(folder)
    assert again.train.digest == both.train.digest


def test_class_folder_problems(tmp_path, one_of_each):
    folder = class_folders(tmp_path / "mine", one_of_each, copies=1)
    (folder / "7" / "0.jpg").write_bytes((folder / "7" / "0.png").read_bytes())
    with pytest.raises(DatasetError, match="two files of one name"):
        load_test(folder)
    (folder / "7" / "0.jpg").write_bytes(b"nothing")
    (folder / "7" / "0.png").unlink()
    with pytest.raises(DatasetError, match=r"0\.jpg: not an image"):
        load_test(folder)
    (folder / "7" / "0.jpg").unlink()
    with pytest.raises(DatasetError, match="holds no images"):
        load_test(folder)
    (folder / "7").rmdir()
    with pytest.raises(DatasetError, match="no folder for the digit 7"):
        load_test(folder)


@pytest.fixture
def mirror(tmp_path):
    """A web server for a folder."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_download_checks_digests_and_tries_the_next_mirror(tmp_path, mirror, monkeypatch):
    web, url = mirror
    good = {}
    for stem in MNIST_MD5:
        (web / f"{stem}.gz").write_bytes(gzip.compress(stem.encode()))
        good[stem] = hashlib.md5(stem.encode()).hexdigest()
    monkeypatch.setattr(mnist, "MNIST_MD5", good)
    seen = []
    download_mnist(
        tmp_path / "cache",
        mirrors=(url + "nothing/", url),
        progress=lambda *report: seen.append(report),
    )
    assert len(list((tmp_path / "cache").iterdir())) == 4
    assert seen[-1][1] == seen[-1][2] > 0

    monkeypatch.setattr(mnist, "MNIST_MD5", dict.fromkeys(good, "0" * 32))
    with pytest.raises(DatasetError, match="could not be downloaded.*MD5"):
        download_mnist(tmp_path / "other", mirrors=(url,))
    assert not (tmp_path / "other").exists()


def test_what_a_bundle_has_installed_is_found(tmp_path, monkeypatch, mnist_test):
    """The test set lies beside the environment; of the training set there is nothing."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIGITKIT_MNIST", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(mnist, "__file__", str(tmp_path / "venv/lib/digitkit/datasets/mnist.py"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    write_idx(tmp_path / "mnist", "test", mnist_test)
    assert find_mnist("test") == tmp_path / "mnist"
    assert find_mnist("train") is None
    assert load_mnist("test").digest == mnist_test.digest


def test_a_folder_that_is_barred_is_passed_over(tmp_path, monkeypatch, mnist_test):
    really = Path.is_file

    def is_file(path):
        if path.is_relative_to(tmp_path / "theirs"):  # root may look everywhere
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    monkeypatch.setenv("DIGITKIT_MNIST", str(tmp_path / "theirs"))
    write_idx(tmp_path / "data/mnist", "test", mnist_test)
    monkeypatch.chdir(tmp_path)
    assert find_mnist("test") == Path("data/mnist")


def test_a_changed_mnist_file_is_refused(tmp_path, monkeypatch, mnist_test, mnist_train):
    write_idx(tmp_path, "test", mnist_test.take(np.arange(10)))
    write_idx(tmp_path, "train", mnist_train.take(np.arange(10)))
    monkeypatch.setenv("DIGITKIT_MNIST", str(tmp_path))
    with pytest.raises(DatasetError, match="is not MNIST's file"):
        load_mnist("test")
