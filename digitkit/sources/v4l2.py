"""Video4Linux cameras: the devices of this machine and the programs that use them.

OpenCV is not loaded.
"""

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
        driver: the driver's name, empty if unknown.
        captures: whether it delivers images; other devices encode, or deliver metadata.
        trouble: why it cannot be queried: ``permission``, ``busy`` or the system's message; None
            if it can.
        group: the name of the group that may use it.
    """

    path: str
    card: str = ""
    driver: str = ""
    captures: bool = False
    trouble: str | None = None
    group: str = "video"


def devices(root: Path = ROOT) -> list[VideoDevice]:
    """All ``/dev/video*`` of the machine, by number.

    Args:
        root: the file system's root; another one for tests.
    """
    names = glob.glob("dev/video[0-9]*", root_dir=root)
    return [query(root / name) for name in sorted(names, key=lambda name: (len(name), name))]


def query(path: Path) -> VideoDevice:
    """Query what a Video4Linux device is, without disturbing the program that uses it."""
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
    response = bytearray(104)  # struct v4l2_capability
    try:
        fcntl.ioctl(handle, 0x80685600, response)  # VIDIOC_QUERYCAP
    except OSError as error:
        return VideoDevice(str(path), trouble=error.strerror, group=group)
    finally:
        os.close(handle)
    return capability(str(path), bytes(response), group)


def capability(path: str, response: bytes, group: str = "video") -> VideoDevice:
    """The device that a response to VIDIOC_QUERYCAP describes, a ``struct v4l2_capability``."""
    driver, card, _, _, device_bits, file_bits = struct.unpack_from("=16s32s32sIII", response)
    # With the highest bit set, the response states this file's bits apart from the device's.
    bits = file_bits if device_bits & 0x80000000 else device_bits
    card_name, driver_name = (
        field.split(b"\0")[0].decode("utf-8", "replace") for field in (card, driver)
    )
    captures = bool(bits & 0x1001)  # single- and multi-planar video capture
    return VideoDevice(path, card_name, driver_name, captures=captures, group=group)


def holders(device: str, root: Path = ROOT) -> list[str]:
    """The programs that have a device file open, such as ``mpv (1234)``.

    Other users' programs are not visible without root, and left out.

    Args:
        device: such as ``/dev/video0``.
        root: the file system's root; another one for tests.
    """
    programs = []
    for folder in glob.glob("proc/[0-9]*", root_dir=root):
        process = root / folder
        with suppress(OSError):  # another user's, or it has just ended
            if any(_points_to(link, device) for link in (process / "fd").iterdir()):
                name = (process / "comm").read_text("utf-8", "replace").strip()
                programs.append(f"{name} ({process.name})")
    return sorted(programs)


def _points_to(link: Path, target: str) -> bool:
    try:
        return str(link.readlink()) == target
    except OSError:  # it has just been closed
        return False
