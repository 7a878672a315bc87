"""The pages of a TIFF file."""

from __future__ import annotations

import struct

from digitkit.arrays import U8
from digitkit.images.decode import decode_pixels
from digitkit.images.guards import check_claimed_size
from digitkit.images.orientation import MAX_TIFF_TAGS, ORIENTATION_TAG
from digitkit.images.pages import MAX_PAGES, Pages

_SUBFILE_TYPE, _SHORT = 254, 3
_REDUCED, _MASK = 1, 4


class TiffPages(Pages):
    """The pages of a TIFF: each has a directory, and the first one's place is in the header.

    To decode a page, the header is made to name its directory. Damage in one does not hide the
    others, no page is decoded for the sake of another, and any OpenCV can do it.

    Attributes:
        begins_with_page: whether the first directory is not a smaller version or a mask.
    """

    def __init__(self, data: bytes, name: str, *, exif: bool = True) -> None:
        """Find the directories.

        Args:
            data: the file's bytes.
            name: of the file, for errors.
            exif: turn pages upright by their orientation.
        """
        self._exif = exif
        self._order = "<" if data.startswith(b"II") else ">"
        self._is_big = data[2:4] in (b"+\0", b"\0+")
        self._directories: list[int] = []
        self.begins_with_page = True
        problem = self._find_directories(data)
        super().__init__(name, len(self._directories), problem)
        is_used = self.count > 1 or not exif or not self.begins_with_page
        self._data = bytearray(data) if is_used else bytearray()
        self._claimed = 0

    def _find_directories(self, data: bytes) -> str | None:
        """Follow the chain of directories; smaller versions of pages, and masks, are left out.

        Returns:
            Why it breaks off; None where it ends.
        """
        number, size = ("Q", 8) if self._is_big else ("I", 4)
        count, entry_size = ("Q", 20) if self._is_big else ("H", 12)
        link, visited = size, set[int]()
        try:
            while len(visited) <= 2 * MAX_PAGES:
                (place,) = struct.unpack_from(self._order + number, data, link)
                if not place:
                    return None
                if place in visited:
                    return "the TIFF file is damaged: its pages form a loop"
                visited.add(place)
                (entries,) = struct.unpack_from(self._order + count, data, place)
                first = place + struct.calcsize(count)
                link = first + entry_size * entries
                kind = self._subfile_type(data, first) if entries else 0
                if link + size > len(data):
                    break
                if not kind & (_REDUCED | _MASK):
                    self._directories.append(place)
                elif not self._directories:
                    self.begins_with_page = False
        except struct.error:
            pass
        return f"the TIFF file is truncated or damaged ({len(data)} bytes)"

    def _subfile_type(self, data: bytes, first: int) -> int:
        """What a directory is of, from its first entry; 0 for a page."""
        tag, kind = struct.unpack_from(f"{self._order}HH", data, first)
        if tag != _SUBFILE_TYPE:
            return 0
        value = "H" if kind == _SHORT else "I"
        at = first + (12 if self._is_big else 8)
        return int(struct.unpack_from(self._order + value, data, at)[0])

    def _decode(self, page: int, name: str) -> U8:
        number, link = ("Q", 8) if self._is_big else ("I", 4)
        directory = self._directories[page - 1]
        struct.pack_into(self._order + number, self._data, link, directory)
        if not self._exif:
            self._drop_orientation(directory)
        # Pages may share their pixels, and so take time for many with the bytes of one.
        self._claimed += check_claimed_size(self._data, name, self._claimed)
        return decode_pixels(self._data, name, 1)  # the decoder turns it

    def _drop_orientation(self, directory: int) -> None:
        """Let a page say that it is upright: OpenCV always obeys what it says."""
        count, size, value = ("Q", 20, 12) if self._is_big else ("H", 12, 8)
        (entries,) = struct.unpack_from(self._order + count, self._data, directory)
        first = directory + struct.calcsize(count)
        for number in range(min(entries, MAX_TIFF_TAGS)):
            entry = first + size * number
            tag, kind = struct.unpack_from(f"{self._order}HH", self._data, entry)
            if (tag, kind) == (ORIENTATION_TAG, _SHORT):
                struct.pack_into(f"{self._order}H", self._data, entry + value, 1)
