from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from support.machines import write

from digitkit.sources import v4l2
from digitkit.sources.v4l2 import VideoDevice


@pytest.mark.parametrize(
    ("driver", "device_bits", "own_bits", "captures", "usable"),
    [
        ("uvcvideo", 0x84A00001, 0x4200001, True, True),
        ("uvcvideo", 0x84A00001, 0x4A00000, False, False),  # data about frames
        ("bcm2835-codec", 0x84204000, 0x4204000, False, False),
        ("old", 0x1, 0x0, True, True),
        ("rp1-cfe", 0x80001000, 0x1000, True, False),  # a Raspberry Pi's own camera
    ],
)
def test_capabilities(driver, device_bits, own_bits, captures, usable):
    bits = (1, device_bits, own_bits, 0, 0, 0)
    answer = struct.pack("=16s32s32s6I", driver.encode(), b"C270", b"usb", *bits)
    device = v4l2.parse_capability("/dev/video0", answer)
    assert device == VideoDevice("/dev/video0", "C270", driver, captures=captures)
    assert device.usable == usable


def test_devices(tmp_path):
    for name in ("video10", "video2", "vbi0", "video"):
        write(tmp_path / "dev" / name, "")
    (tmp_path / "dev/by-id").symlink_to("video2")
    devices = v4l2.list_devices(tmp_path)
    assert [Path(device.path).name for device in devices] == ["video2", "video10"]
    assert {(d.captures, d.trouble) for d in devices} == {(False, "other")}  # plain files
    assert v4l2.resolve_device(devices, "/dev/by-id", tmp_path) == devices[:1]
    assert v4l2.resolve_device(devices, "/dev/video1", tmp_path) == []


@pytest.mark.parametrize(("code", "trouble"), [(13, "permission"), (16, "busy"), (19, "other")])
def test_devices_that_cannot_be_queried(tmp_path, monkeypatch, code, trouble):
    def refuse(path, flags):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(v4l2.os, "open", refuse)
    assert v4l2.query_device(tmp_path).trouble == trouble


def test_programs_that_use_a_camera(tmp_path):
    for pid, name, opened in (("12", "mpv", "/dev/video0"), ("7", "sh", "/dev/null")):
        write(tmp_path / "proc" / pid / "comm", f"{name}\n")
        (tmp_path / "proc" / pid / "fd").mkdir()
        (tmp_path / "proc" / pid / "fd" / "3").symlink_to(opened)
    write(tmp_path / "proc" / "99" / "comm", "another user's\n")
    assert v4l2.find_holders("/dev/video0", tmp_path) == ["mpv (12)"]
    assert v4l2.find_holders("/dev/video1", tmp_path) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_this_process_holds_a_file(tmp_path):
    with (tmp_path / "held").open("w"):
        assert f"({os.getpid()})" in v4l2.find_holders(str(tmp_path / "held"))[0]
