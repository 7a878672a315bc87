"""Cameras as Video4Linux has them: which there are, and who uses them; without loading OpenCV."""

from __future__ import annotations

import errno
import glob
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")


@dataclass(frozen=True)
class VideoDevice:
    """A device file of Video4Linux.

    Attributes:
        path: such as ``/dev/video0``.
        card: the device's name, empty if unknown.
        driver: likewise.
        captures: whether it gives pictures; others encode, or give data about pictures.
        trouble: ``permission``, ``busy`` or another reason why it cannot be asked; None if it was.
        group: the name of the group that may use it.
    """

    path: str
    card: str = ""
    driver: str = ""
    captures: bool = False
    trouble: str | None = None
    group: str = "video"


def devices(root: Path = ROOT) -> list[VideoDevice]:
    """Every ``/dev/video*``, by number."""
    names = glob.glob("dev/video[0-9]*", root_dir=root)
    return [query(root / name) for name in sorted(names, key=lambda name: (len(name), name))]


def query(path: Path) -> VideoDevice:
    """Ask a device file of Video4Linux what it is, without disturbing who uses it."""
    import fcntl
    import grp

    group = "video"
    try:
        with suppress(KeyError):
            group = grp.getgrgid(path.stat().st_gid).gr_name
        handle = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return VideoDevice(str(path), trouble="permission", group=group)
    except OSError as error:
        busy = error.errno == errno.EBUSY
        return VideoDevice(str(path), trouble="busy" if busy else error.strerror, group=group)
    answer = bytearray(104)  # struct v4l2_capability
    try:
        fcntl.ioctl(handle, 0x80685600, answer)  # VIDIOC_QUERYCAP
    except OSError as error:
        return VideoDevice(str(path), trouble=error.strerror, group=group)
    finally:
        os.close(handle)
    return capability(str(path), bytes(answer), group)


def capability(path: str, answer: bytes, group: str = "video") -> VideoDevice:
    """What a Video4Linux device answers to VIDIOC_QUERYCAP: ``struct v4l2_capability``."""
    driver, card, _, _, all_, own = struct.unpack_from("=16s32s32sIII", answer)
    bits = own if all_ & 0x80000000 else all_  # of this file, rather than of the whole device
    name, by = (part.split(b"\0")[0].decode("utf-8", "replace") for part in (card, driver))
    return VideoDevice(path, name, by, captures=bool(bits & 0x1001), group=group)


def holders(device: str, root: Path = ROOT) -> list[str]:
    """The programs that have a device file open, such as ``mpv (1234)``, as far as one may see."""
    found = []
    for folder in glob.glob("proc/[0-9]*", root_dir=root):
        process = root / folder
        with suppress(OSError):  # another user's, or it has just ended
            if any(_points_to(link, device) for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                found.append(f"{name} ({process.name})")
    return sorted(found)


def _points_to(link: Path, target: str) -> bool:
    try:
        return str(link.readlink()) == target
    except OSError:  # it has just been closed
        return False
