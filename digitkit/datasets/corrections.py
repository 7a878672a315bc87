"""Corrections: what people wrote about doubtful digits, and the folder to train on them.

A corrections file has a JSON line for each: what was read, what is right, and the images that the
classifier saw. The folder has the images as PNG files, those of a digit in ``0`` to ``9``, those
that show none in ``none``, and in ``corrections.json`` which correction said what.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import string
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from digitkit.arrays import U8
from digitkit.datasets.digits import DigitData, Images, digit_data
from digitkit.errors import (
    DatasetError,
    ImageError,
    InputNotFoundError,
    SourceError,
    one_line,
    os_reason,
)
from digitkit.images.cv import cv2
from digitkit.images.encode import encode_png
from digitkit.system import atomic
from digitkit.system.bounded import MAX_JSON_BYTES, read_bounded

LEDGER = "corrections.json"
"""The file that makes a folder one of corrections."""

_LOCK = f".{LEDGER}.lock"
"""The lock file of `LEDGER`, as `atomic.hold_lock` calls it."""

NONE = "none"
"""The folder of images that show no digit."""

FORMAT: Literal[1] = 1
"""Version of `LEDGER`."""

MAX_FILE_BYTES = 1_000_000_000
"""Largest corrections file that is read."""

MAX_IMAGES = 100
"""Most images of a correction."""

_SIDE = 28

_Base64 = Annotated[str, Meta(max_length=20_000)]

_Text = Annotated[str, Meta(pattern=r"^(-?[0-9]+([.,][0-9]+)*)?$", max_length=200)]


@dataclass(frozen=True)
class Correction:
    """What is right about one thing that was read.

    Attributes:
        id: tells it from others; of two with the same id, the later counts.
        kind: what was decided on.
        text: what is written there: ``0`` to ``9``, or of a number or field its text; "" where
            there is no digit.
        images: what the classifier saw of its digits, uint8 ``[28, 28]`` each, from the left.
        read: what was read.
        source: the file, with its page, or the camera.
        name: of a form's field; "" elsewhere.
    """

    id: str
    kind: Literal["digit", "number", "field"]
    text: str
    images: tuple[U8, ...] = field(repr=False, compare=False)
    read: str = ""
    source: str = ""
    name: str = ""

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The folder of each image; None where it is not known which digit is in which image."""
        return _labels(self.text, len(self.images))

    def to_line(self) -> str:
        """The line of a corrections file, with its newline."""
        images = [base64.b64encode(encode_png(image)).decode("ascii") for image in self.images]
        values = {
            "id": self.id, "kind": self.kind, "source": self.source, "read": self.read,
            "text": self.text, "images": images,
        }  # fmt: skip
        if self.name:
            values["name"] = self.name
        return json.dumps(values) + "\n"


def _labels(text: str, count: int) -> tuple[str, ...] | None:
    """See `Correction.labels`; `count` is the number of images."""
    if not text:
        return (NONE,) * count
    digits = [character for character in text if character in string.digits]
    return tuple(digits) if len(digits) == count else None


class _Line(msgspec.Struct):
    id: Annotated[str, Meta(min_length=1, max_length=200)]
    kind: Literal["digit", "number", "field"]
    text: _Text
    images: Annotated[list[_Base64], Meta(max_length=MAX_IMAGES)]
    read: str = ""
    source: str = ""
    name: str = ""


_decoder = msgspec.json.Decoder(_Line)


def parse_correction(line: bytes | str) -> Correction:
    """Read a line of a corrections file, or what a browser sent.

    Raises:
        DatasetError: it is not a correction.
    """
    try:
        values = _decoder.decode(line)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DatasetError(f"is not a correction: {one_line(error)}") from error
    if values.kind == "digit" and len(values.text) > 1:
        raise DatasetError(
            f"is not a correction: the text of a digit must be 0 to 9 or empty, got {values.text!r}"
        )
    images = tuple(_decode_image(image) for image in values.images)
    return Correction(
        values.id, values.kind, values.text, images, values.read, values.source, values.name
    )


def _decode_image(text: str) -> U8:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DatasetError(f"has an image that is not base64: {one_line(error)}") from error
    # Width and height are known before it is decoded: a small file may claim a large image.
    sides = {int.from_bytes(data[at : at + 4]) for at in (16, 20)}
    image = None
    if data.startswith(b"\x89PNG\r\n\x1a\n") and sides == {_SIDE}:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise DatasetError(f"has an image that is not a PNG file of {_SIDE} × {_SIDE} pixels")
    return np.asarray(image, np.uint8)


def read_corrections(path: Path) -> Iterator[Correction | DatasetError]:
    """Read a corrections file line by line; empty lines are passed over.

    Yields:
        Each correction; the error of a line that is none, which names file and line.

    Raises:
        InputNotFoundError: the file does not exist.
        DatasetError: it cannot be read, or is another file.
    """
    try:
        data = read_bounded(path, MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise InputNotFoundError("does not exist", subject=str(path)) from error
    except OSError as error:
        raise DatasetError(f"cannot be read: {os_reason(error)}", subject=str(path)) from error
    except ValueError as error:  # a NUL byte inside the name
        raise InputNotFoundError(f"is not a valid path: {error}", subject=str(path)) from error
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    written = [line.lstrip() for line in lines if line.strip()]
    is_other = bool(written) and not any(line.startswith(b"{") for line in written)
    if is_other or b"\0" in lines[0]:
        raise DatasetError(
            "is not a file of corrections (JSON lines)",
            subject=str(path),
            hint="download one from the review of digitkit infer --report or of digitkit serve",
        )
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield parse_correction(line)
        except DatasetError as error:
            yield DatasetError(error.problem, subject=f"{path}:{number}")


# --- the folder ---


class _Entry(msgspec.Struct):
    """A correction in the folder's `LEDGER`."""

    text: _Text
    images: list[Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]]


class _Ledger(msgspec.Struct):
    format: Literal[1]
    corrections: dict[str, _Entry]


@dataclass(frozen=True)
class Converted:
    """What is in a folder of corrections.

    Attributes:
        corrections: how many corrections it has by now.
        counts: images by their folder, ``0`` to ``9`` and `NONE`, without empty ones.
        unclear: corrections of numbers whose digits cannot be told apart: more or fewer are
            written than were seen.
    """

    corrections: int
    counts: dict[str, int]
    unclear: int


def is_corrections_folder(folder: Path) -> bool:
    """Whether `add_corrections` made a folder."""
    return (folder / LEDGER).is_file()


def add_corrections(folder: Path, corrections: Iterable[Correction]) -> Converted:
    """Add corrections to a folder that ``digitkit train --data`` takes; it is made if missing.

    Of two corrections with the same id the later counts, and of two of the same image.

    Args:
        folder: new, empty, or one that this function made; nothing is made without corrections.
        corrections: in the order in which they were made.

    Raises:
        DatasetError: the folder contains something else, or its `LEDGER` is damaged.
        OutputError: it cannot be written.
    """
    added = list(corrections)
    try:
        ledger = _read_ledger(folder)
    except DatasetError:
        if not (added and (folder / _LOCK).exists()):  # another process begins it just now
            raise
    if added:
        with atomic.hold_lock(folder / LEDGER):
            ledger = _read_ledger(folder)
            _write(folder, ledger, added)
    counts = Counter(path.parent.name for path in _place_images(ledger))
    unclear = sum(_labels(entry.text, len(entry.images)) is None for entry in _entries(ledger))
    return Converted(len(ledger.corrections), dict(sorted(counts.items())), unclear)


def _write(folder: Path, ledger: _Ledger, added: Iterable[Correction]) -> None:
    """Add corrections to a ledger, and bring its folder up to date."""
    before = set(_place_images(ledger))
    pixels: dict[str, U8] = {}
    for correction in added:
        names = [_content_name(image) for image in correction.images]
        pixels |= dict(zip(names, correction.images, strict=True))
        ledger.corrections.pop(correction.id, None)  # it becomes the latest
        ledger.corrections[correction.id] = _Entry(correction.text, names)
    after = set(_place_images(ledger))
    for path in sorted(after):
        if path.stem in pixels:
            atomic.write_bytes(folder / path, encode_png(pixels[path.stem]))
    for path in before - after:
        (folder / path).unlink(missing_ok=True)
    # Last: after an interruption it still says what else is to be removed.
    text = msgspec.json.format(msgspec.json.encode(ledger), indent=1).decode()
    atomic.write_text(folder / LEDGER, text + "\n")


def _place_images(ledger: _Ledger) -> Iterator[Path]:
    """Where the image files of a ledger are, within its folder."""
    labels: dict[str, str] = {}
    for entry in _entries(ledger):
        known = _labels(entry.text, len(entry.images))
        labels |= dict(zip(entry.images, known or (), strict=known is not None))
    return (Path(label) / f"{name}.png" for name, label in labels.items())


def _entries(ledger: _Ledger) -> Iterable[_Entry]:
    return ledger.corrections.values()


def _read_ledger(folder: Path) -> _Ledger:
    """The ledger of a folder; a new one where it is empty or does not exist."""
    path = folder / LEDGER
    try:
        return msgspec.json.decode(read_bounded(path, MAX_JSON_BYTES), type=_Ledger)
    except FileNotFoundError:
        pass
    except (msgspec.MsgspecError, ValueError, RecursionError, OSError) as error:
        problem = f"cannot be read: {one_line(error)}"
        raise DatasetError(problem, subject=str(path)) from error
    names = {one.name for one in folder.iterdir()} if folder.is_dir() else set()
    names.discard(_LOCK)
    if any(not atomic.is_leftover(name) for name in names):
        raise DatasetError(
            f"is neither empty nor a folder of corrections (no {LEDGER})",
            subject=str(folder),
            hint="choose another with --out",
        )
    return _Ledger(FORMAT, {})


def _content_name(image: U8) -> str:
    """The name of an image's file, by its pixels."""
    return hashlib.sha256(image.tobytes()).hexdigest()[:16]


def load_corrections(folder: Path) -> tuple[DigitData | None, Images]:
    """Load the images of a folder of corrections.

    Returns:
        Those of digits, None where there is none; and those without a digit, uint8
        ``[M, 28, 28]``.

    Raises:
        DatasetError: a file cannot be read or is not an image of 28 × 28 pixels, or there is none.
    """
    images: list[U8] = []
    labels: list[int] = []
    others: list[U8] = []
    for label in (*string.digits, NONE):
        for path in sorted((folder / label).glob("*.png")):
            if atomic.is_leftover(path.name):
                continue
            image = _load_image(path)
            if label == NONE:
                others.append(image)
            else:
                images.append(image)
                labels.append(int(label))
    if not images and not others:
        raise DatasetError("contains no corrections to learn from", subject=str(folder))
    without = np.stack(others) if others else np.empty((0, _SIDE, _SIDE), np.uint8)
    if not images:
        return None, without
    return digit_data(np.stack(images), np.array(labels, np.uint8), folder.name), without


def _load_image(path: Path) -> U8:
    """An image as it is: it is in normal form already."""
    from digitkit.images.convert import to_grey
    from digitkit.images.decode import decode_file  # not at the top: a service only writes

    try:
        image = to_grey(decode_file(path))
    except (ImageError, InputNotFoundError, SourceError) as error:
        hint = error.hint or "repair or remove it"
        raise DatasetError(error.problem, subject=error.subject, hint=hint) from error
    if image.shape != (_SIDE, _SIDE):
        raise DatasetError(
            f"must be {_SIDE} × {_SIDE} pixels, got {image.shape[1]} × {image.shape[0]}",
            subject=str(path),
            hint="make the folder with digitkit corrections",
        )
    return image
