"""Images that Python code passes: paths, arrays, bytes, open files, images of Pillow."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, TypeGuard, TypeVar

import numpy as np
import numpy.typing as npt

from digitkit.arrays import U8
from digitkit.errors import (
    DigitkitError,
    ImageError,
    InputNotFoundError,
    InputTypeError,
    SourceError,
    one_line,
    os_reason,
    printable_path,
)
from digitkit.images.convert import from_array
from digitkit.images.cv import out_of_memory
from digitkit.images.decode import MAX_FILE_BYTES
from digitkit.images.orientation import ORIENTATION_TAG, turn_upright
from digitkit.sources.files import (
    INPUT_ERRORS,
    FileOpener,
    address_error,
    item_frames,
    load_item,
)
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.items import ImageBytes, Item, to_item
from digitkit.sources.urls import is_address


class BinaryFile(Protocol):
    """A file that is open for reading in binary mode."""

    def read(self, size: int = -1, /) -> bytes:
        """Read so many bytes, or all."""


class PillowImage(Protocol):
    """An image of Pillow, which need not be installed otherwise."""

    @property
    def mode(self) -> str:
        """Kind of the pixels, such as ``RGB``."""

    def getexif(self) -> Any:
        """The image's EXIF data."""


Image = (
    str
    | os.PathLike[str]
    | npt.NDArray[np.generic]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | PillowImage
)
"""A path, also of a page (``scan.tiff#2``); an array as `digitkit.images.convert.from_array` takes
it; the bytes of an image file; a binary file; or an image of Pillow, of any mode."""

T = TypeVar("T")

_ERRORS: tuple[type[DigitkitError], ...] = (*INPUT_ERRORS, InputTypeError)
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error)
"""What Pillow raises at a damaged file, which it reads when its pixels are wanted."""


def split_images(images: object) -> Iterable[Any]:
    """The images of an iterable; one image is its only one."""
    kinds = (str, os.PathLike, np.ndarray, bytes, bytearray, memoryview)
    if isinstance(images, kinds) or _is_pillow(images) or _is_file(images):
        return (images,)
    return images if isinstance(images, Iterable) else (images,)


def read_objects(images: object, read: Callable[[Frame], T], *, exif: bool) -> T | list[T]:
    """Read one image, or each of several.

    Args:
        images: an `Image`, or an iterable of such.
        read: reads a decoded image.
        exif: as for `load_object`.

    Raises:
        DigitkitError: as `load_object` and `read` raise.
    """
    several = split_images(images)
    results = [read(load_object(image, exif=exif)) for image in several]
    return results if several is images else results[0]


def read_each_page(
    image: object, read: Callable[[Frame], T], *, exif: bool
) -> Iterator[T | Failure]:
    """Read the pages of an image one by one; one that cannot be read is a `Failure`.

    Args:
        image: as `object_frames` takes it.
        read: reads a decoded page; may raise an `ImageError`.
        exif: as for `object_frames`.
    """
    for frame in object_frames(image, exif=exif):
        if isinstance(frame, Failure):
            yield frame
            continue
        try:
            yield read(frame)
        except ImageError as error:
            yield to_failure(frame.source, error, page=frame.page)


def load_object(image: object, *, exif: bool = True) -> Frame:
    """Decode an image.

    Args:
        image: see `Image`.
        exif: turn it upright by its EXIF orientation.

    Raises:
        InputTypeError: it is of a kind that no image can be made of.
        InputNotFoundError, SourceError, ImageError, MissingDependencyError: as `load_frame` of
            `digitkit.sources.files` raises.
    """
    source = _to_source(image, exif)
    return source if isinstance(source, Frame) else load_item(source, exif=exif)


def object_frames(image: object, *, exif: bool = True) -> Iterator[Frame | Failure]:
    """Decode all pages of an image; see `load_object`. What cannot be decoded is a failure."""
    try:
        source = _to_source(image, exif)
    except _ERRORS as error:
        yield to_failure(error.subject or _name(image), error)
        return
    if isinstance(source, Frame):
        yield source
    else:
        yield from item_frames(source, FileOpener(exif=exif))


def _to_source(image: object, exif: bool) -> Item | Frame:
    if isinstance(image, str | os.PathLike):
        path = os.fsdecode(image)
        if not path:  # Path("") would be the current folder
            raise InputNotFoundError("is an empty name", subject="''", hint="name a file")
        if is_address(path) and not os.path.lexists(path):
            raise address_error(path)
        return to_item(path)
    if isinstance(image, np.ndarray):
        return Frame("array", from_array(image))
    if isinstance(image, bytes | bytearray | memoryview):
        return ImageBytes(bytes(image), "bytes")
    if _is_pillow(image):
        return Frame(_name(image), _from_pillow(image, exif))
    if _is_file(image):
        return ImageBytes(_read(image), _name(image))
    if image is None:
        raise InputTypeError(
            "got None; cv2.imread returns it for a file that does not exist or is not an image"
        )
    raise InputTypeError(
        f"got {type(image).__name__}",
        hint="pass a path, an array, the bytes of an image file, a binary file or a Pillow image",
    )


def _name(image: object) -> str:
    if isinstance(image, np.ndarray):
        return "array"
    if _is_pillow(image):
        name, other = getattr(image, "filename", None), "image"
    elif _is_file(image):
        name, other = getattr(image, "name", None), "file"
    else:
        return type(image).__name__
    return printable_path(os.fsdecode(name)) if isinstance(name, str | bytes) and name else other


def _is_file(value: object) -> TypeGuard[BinaryFile]:
    return callable(getattr(value, "read", None)) and not isinstance(value, os.PathLike | type)


_BINARY = "open the file in binary mode: open(name, 'rb')"


def _read(file: BinaryFile) -> bytes:
    """The rest of an open file.

    Raises:
        InputTypeError: it is open in text mode.
        SourceError: it cannot be read.
        ImageError: it is too large.
    """
    try:
        data: object = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"cannot be read: {os_reason(error)}", subject=_name(file)) from error
    except UnicodeDecodeError as error:
        raise InputTypeError("is open in text mode", subject=_name(file), hint=_BINARY) from error
    except ValueError as error:  # it is closed
        raise SourceError(f"cannot be read: {one_line(error)}", subject=_name(file)) from error
    if not isinstance(data, bytes | bytearray):
        raise InputTypeError(
            f"reading it gives {type(data).__name__}",
            subject=_name(file),
            hint=_BINARY,
        )
    if len(data) > MAX_FILE_BYTES:
        raise ImageError(f"is larger than {MAX_FILE_BYTES / 1e6:,.0f} MB", subject=_name(file))
    return bytes(data)


# --- Pillow ---


def _is_pillow(value: object) -> TypeGuard[PillowImage]:
    """Whether a value is an image of Pillow; who has one has imported it."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def _from_pillow(image: Any, exif: bool) -> U8:
    """The pixels of Pillow's current frame, converted as those of files are."""
    name = _name(image)
    try:
        try:
            image.load()
        except (AssertionError, AttributeError) as error:  # it has no file any more
            raise ValueError("its file is closed; read it within its with block") from error
        orientation = image.getexif().get(ORIENTATION_TAG, 1) if exif else 1
        pixels = _pillow_pixels(image)
    except _PILLOW_ERRORS as error:
        raise ImageError(f"Pillow cannot decode it ({one_line(error)})", subject=name) from error
    except MemoryError as error:
        raise out_of_memory(name) from error
    upright = from_array(pixels, name)
    return turn_upright(upright, orientation) if orientation in range(1, 9) else upright


def _pillow_pixels(image: Any) -> npt.NDArray[np.generic]:
    """An image as `from_array` takes it."""
    clear = image.info.get("transparency")
    # Bytes are of a palette, which what was made of such an image may not have any more. Pillow's
    # conversion clips 16 bits; of grey files, the value that is transparent stays what it is, too.
    is_lost = isinstance(clear, bytes) or image.mode.startswith("I")
    if clear is not None and (image.mode == "P" or not is_lost):
        image = image.convert("RGBA")
    how = {"P": "RGB", "PA": "RGBA", "RGBa": "RGBA", "La": "LA"}
    if image.mode in how:
        image = image.convert(how[image.mode])
    if image.mode == "LAB":
        image = image.getchannel(0)  # lightness; there is no conversion
    if image.mode in ("1", "L", "LA", "I", "F") or image.mode.startswith("I;16"):
        return np.asarray(image)
    if image.mode == "RGBA":
        return np.asarray(image)[:, :, [2, 1, 0, 3]]
    return np.asarray(image.convert("RGB"))[:, :, ::-1]
