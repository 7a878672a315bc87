"""MNIST: found on this machine, or downloaded and verified."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from digitkit.datasets.digits import SPLIT_SEED, VALIDATION, DigitData, Split, stratified_split
from digitkit.datasets.idx import decompress, find_idx_file, idx_names, load_idx, read_maybe_gzipped
from digitkit.errors import DatasetError, one_line
from digitkit.system import atomic
from digitkit.system.folders import cache_folder
from digitkit.system.progress import Progress, no_progress

MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of the decompressed files, as published with torchvision and other loaders."""

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

MAX_DOWNLOAD_BYTES = 100_000_000
"""Largest file that is downloaded; MNIST's has 10 MB."""

DOWNLOAD_SECONDS = 30.0
"""How long a server may stay silent."""

_BROKEN = (OSError, EOFError, zlib.error, ValueError, http.client.HTTPException)
"""What a download or its decompression raises."""


def find_mnist(split: Split) -> Path | None:
    """Find a folder with the two files of one of MNIST's splits; None if there is none.

    Searched in this order: ``$DIGITKIT_MNIST``, ``data/mnist`` in the current folder,
    ``data/mnist`` of the checkout that this package is imported from, the folder that a bundle
    installs next to its environment (test set only), the download cache.

    Raises:
        DatasetError: ``$DIGITKIT_MNIST`` lacks a file, or a folder contains one both plain and
            gzipped.
        OutputError: the user has no home folder, and the MNIST files are nowhere else.
    """
    named = os.environ.get("DIGITKIT_MNIST")
    for folder in _mnist_folders(named):
        with suppress(PermissionError):  # in another user's folder, up to Python 3.13
            missing = [stem for stem in idx_names(split) if not find_idx_file(folder, stem)]
            if not missing:
                return folder
            if named and folder == Path(named):
                raise DatasetError(
                    f"is named by DIGITKIT_MNIST, but has no {missing[0]}.gz",
                    subject=named,
                    hint="name a folder with MNIST's files, or unset the variable",
                )
    return None


def _mnist_folders(named: str | None) -> Iterator[Path]:
    if named:
        yield Path(named)
    yield Path("data/mnist")
    yield Path(__file__).resolve().parents[2] / "data/mnist"
    yield Path(sys.prefix).parent / "mnist"
    yield cache_folder() / "mnist"  # last: it fails for a user without a home folder


def download_mnist(
    folder: Path, *, mirrors: tuple[str, ...] = MNIST_MIRRORS, progress: Progress = no_progress
) -> None:
    """Download MNIST's four files into `folder`; a file is kept only if its MD5 is correct.

    Args:
        folder: where the gzipped files go; created if missing.
        mirrors: base URLs, tried in order.
        progress: called with the file's name, the bytes so far and in total.

    Raises:
        DatasetError: no mirror has a file with the correct digest.
        OutputError: a file cannot be written.
    """
    for stem, md5 in MNIST_MD5.items():
        if find_idx_file(folder, stem):
            continue
        problems = []
        for mirror in mirrors:
            url = f"{mirror}{stem}.gz"
            try:
                data = _download(url, progress)
                digest = hashlib.md5(decompress(data), usedforsecurity=False).hexdigest()
            except _BROKEN as error:
                problems.append(f"{url}: {one_line(error)}")
                continue
            if digest != md5:
                problems.append(f"{url}: MD5 {digest} instead of {md5}")
                continue
            atomic.write_bytes(folder / f"{stem}.gz", data)
            break
        else:
            raise DatasetError(
                f"MNIST cannot be downloaded ({'; '.join(problems)})",
                hint=f"put its four IDX files into {folder}, or name their folder with --data or "
                "DIGITKIT_MNIST",
            )


def _download(url: str, progress: Progress) -> bytes:
    with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as response:
        total = int(response.headers.get("Content-Length") or 0)
        chunks: list[bytes] = []
        done = 0
        while chunk := response.read(1 << 16):
            chunks.append(chunk)
            done += len(chunk)
            if done > MAX_DOWNLOAD_BYTES:
                raise OSError(f"is larger than {MAX_DOWNLOAD_BYTES / 1e6:,.0f} MB")
            progress(f"downloading {url.rsplit('/', 1)[1]}", done, total)
    if total and done != total:
        raise OSError(f"the connection was lost after {done} of {total} bytes")
    return b"".join(chunks)


def mnist_files(
    split: Split, folder: Path | None = None, *, progress: Progress = no_progress
) -> dict[str, Path]:
    """The two files of one of MNIST's splits, verified, by their names without ``.gz``.

    Args:
        split: which.
        folder: where they are, plain or gzipped; None to find or else download them.
        progress: called while they are downloaded.

    Raises:
        DatasetError: the files are not MNIST's, or they are not there and downloading failed.
    """
    folder = folder or find_mnist(split)
    if folder is None:
        folder = cache_folder() / "mnist"
        download_mnist(folder, progress=progress)
    files = {}
    for stem in idx_names(split):
        path = find_idx_file(folder, stem)
        assert path is not None  # find_mnist and download_mnist ensure it
        digest = hashlib.md5(read_maybe_gzipped(path), usedforsecurity=False).hexdigest()
        if digest != MNIST_MD5[stem]:
            raise DatasetError(
                f"is not MNIST's file (MD5 {digest} instead of {MNIST_MD5[stem]})",
                subject=str(path),
                hint="restore it, or remove it to have MNIST searched elsewhere or downloaded",
            )
        files[stem] = path
    return files


def load_mnist(split: Split, *, progress: Progress = no_progress) -> DigitData:
    """Load MNIST's training set (60,000) or test set (10,000), from disk or by download.

    MNIST is by Yann LeCun, Corinna Cortes and Christopher J. C. Burges, CC BY-SA 3.0.

    Raises:
        DatasetError: the files are not MNIST's, or they are not there and downloading failed.
    """
    images, _ = mnist_files(split, progress=progress).values()
    return load_idx(images.parent, split, name=f"MNIST {split}")


def split_mnist() -> tuple[DigitData, DigitData]:
    """MNIST's training set, split into what networks are trained on and validated on.

    Raises:
        DatasetError: as `load_mnist` raises.
    """
    data = load_mnist("train")
    kept, split_off = stratified_split(data.labels, VALIDATION, SPLIT_SEED)
    return data.take(kept, "MNIST training digits"), data.take(split_off, "MNIST validation")
