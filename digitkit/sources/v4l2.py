"""Cameras of Video4Linux: which exist, and which programs use them; without loading OpenCV."""

from __future__ import annotations

import errno
import glob
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from digitkit.system.kernel import ROOT

Trouble = Literal["permission", "busy", "other"]

PI_DRIVERS = ("unicam", "rp1-cfe", "bcm2835-isp", "pispbe", "rpi-hevc-dec", "bcm2835-codec")
"""Drivers of a Raspberry Pi's own camera and codecs, which give OpenCV no frames."""

_QUERYCAP = 0x80685600  # VIDIOC_QUERYCAP
_OWN_CAPABILITIES = 0x80000000  # V4L2_CAP_DEVICE_CAPS
_CAPTURE = 0x1001  # V4L2_CAP_VIDEO_CAPTURE and its multi-planar form


@dataclass(frozen=True)
class VideoDevice:
    """A device file of Video4Linux.

    Attributes:
        path: such as ``/dev/video0``.
        card: the device's name; empty if unknown.
        driver: the driver's name; empty if unknown.
        captures: whether it gives images; others encode, or give data about images.
        trouble: why it cannot be queried; None if it was.
        group: the name of the group that may use it.
    """

    path: str
    card: str = ""
    driver: str = ""
    captures: bool = False
    trouble: Trouble | None = None
    group: str = "video"

    @property
    def usable(self) -> bool:
        """Whether OpenCV can take frames from it."""
        return self.captures and self.driver not in PI_DRIVERS


def list_devices(root: Path = ROOT) -> list[VideoDevice]:
    """Every ``/dev/video*``, by number."""
    names = glob.glob("dev/video[0-9]*", root_dir=root)
    return [query_device(root / name) for name in sorted(names, key=lambda name: (len(name), name))]


def query_device(path: Path) -> VideoDevice:
    """Query a device file of Video4Linux without disturbing the program that uses it."""
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
        trouble: Trouble = "busy" if error.errno == errno.EBUSY else "other"
        return VideoDevice(str(path), trouble=trouble, group=group)
    answer = bytearray(104)  # struct v4l2_capability
    try:
        fcntl.ioctl(handle, _QUERYCAP, answer)
    except OSError:
        return VideoDevice(str(path), trouble="other", group=group)
    finally:
        os.close(handle)
    return parse_capability(str(path), bytes(answer), group)


def parse_capability(path: str, answer: bytes, group: str = "video") -> VideoDevice:
    """Parse a device's answer to VIDIOC_QUERYCAP.

    Args:
        path: the device file.
        answer: ``struct v4l2_capability``, 104 bytes.
        group: the group that may use it.
    """
    driver, card, _, _, device, own = struct.unpack_from("=16s32s32sIII", answer)
    bits = own if device & _OWN_CAPABILITIES else device  # of this file, not the whole device
    name, by = (field.split(b"\0")[0].decode("utf-8", "replace") for field in (card, driver))
    return VideoDevice(path, name, by, captures=bool(bits & _CAPTURE), group=group)


def resolve_path(path: str, root: Path = ROOT) -> str:
    """Follow a device file's links, such as ``/dev/v4l/by-id/…``."""
    return os.path.realpath(root / path.lstrip("/"))


def resolve_device(
    devices: Iterable[VideoDevice], path: str, root: Path = ROOT
) -> list[VideoDevice]:
    """The devices that a device file, or a link to one, stands for: one or none."""
    target = resolve_path(path, root)
    return [device for device in devices if os.path.realpath(device.path) == target]


def find_holders(device: str, root: Path = ROOT) -> list[str]:
    """The programs that have a device file open, such as ``mpv (1234)``.

    Other users' programs are not visible, unless this user is root.
    """
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
