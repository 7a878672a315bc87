"""Video files: as OpenCV writes them, and as disks and phones damage them."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from digitkit.images import containers
from digitkit.images.opencv import cv2
from digitkit.sources.files import expand_sources, read_frames
from digitkit.sources.frames import Failure, Frame
from digitkit.sources.video import video_frames

FRAMES, RATE = 40, 20
CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mov": "mp4v", ".mkv": "MJPG", ".webm": "VP80"}


def write_video(path: Path, frames: int = FRAMES) -> Path:
    """Frame i is of level 5·i, 64×48, with a white corner at the top left."""
    code = cv2.VideoWriter_fourcc(*CODECS[path.suffix])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, RATE, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {path.suffix}")
    for i in range(frames):
        image = np.full((48, 64, 3), 5 * i, np.uint8)
        image[:16, :16] = 255
        writer.write(image)
    writer.release()
    return path


def split(path: str | os.PathLike[str]) -> tuple[list[Frame], list[str]]:
    """The frames of a video, and the errors of its failures; a failure comes last."""
    items = list(video_frames(path))
    assert all(isinstance(item, Frame) for item in items[:-1])
    frames = [item for item in items if isinstance(item, Frame)]
    return frames, [item.error for item in items if isinstance(item, Failure)]


@pytest.mark.parametrize("suffix", CODECS)
def test_every_frame_in_order(tmp_path, suffix):
    path = write_video(tmp_path / f"video{suffix}")
    frames, errors = split(path)
    assert errors == []
    assert [frame.number for frame in frames] == list(range(FRAMES))
    assert [frame.seconds for frame in frames] == pytest.approx(np.arange(FRAMES) / RATE)
    assert {frame.source for frame in frames} == {str(path)}
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    for i in (0, 17, 39):
        assert frames[i].image[40, 40].mean() == pytest.approx(5 * i, abs=4)
    assert frames[3].time is None
    assert frames[3].decode_ms > 0


def test_a_turned_phone_video_is_upright(tmp_path):
    path = write_video(tmp_path / "phone.mp4")
    data = path.read_bytes()
    at = data.index(struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), 4)
    at = data.index(struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30), at + 36)
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 48 << 16, 0, 1 << 30)
    path.write_bytes(data[:at] + quarter + data[at + 36 :])
    frames, errors = split(path)
    assert errors == []
    assert frames[10].image.shape == (64, 48, 3)
    assert frames[10].image[4, -4].mean() > 240  # the corner: from top left to top right
    assert frames[10].image[4, 4].mean() < 100


def index_first(data: bytes) -> bytes:
    """An MP4 file with its index (moov) in front of the frames, as for the web."""
    (ftyp,), start = struct.unpack_from(">I", data), data.rindex(b"moov") - 4
    moov = bytearray(data[start:])
    at = moov.index(b"stco") + 8
    (count,) = struct.unpack_from(">I", moov, at)
    offsets = [offset + len(moov) for offset in struct.unpack_from(f">{count}I", moov, at + 4)]
    struct.pack_into(f">{count}I", moov, at + 4, *offsets)
    return data[:ftyp] + bytes(moov) + data[ftyp:start]


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".webm", ".mp4"])
def test_a_truncated_video_gives_what_it_has(tmp_path, suffix):
    path = write_video(tmp_path / f"video{suffix}")
    data = path.read_bytes()
    path.write_bytes(index_first(data) if suffix == ".mp4" else data)
    assert len(split(path)[0]) == FRAMES
    path.write_bytes(path.read_bytes()[: len(data) * 2 // 3])
    frames, (error,) = split(path)
    assert 5 < len(frames) < FRAMES
    assert str(len(frames)) in error
    assert "truncated" in error


def test_an_mp4_without_its_index_fails_at_once(tmp_path):
    path = write_video(tmp_path / "video.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, (error,) = split(path)
    assert frames == []
    assert "truncated" in error


@pytest.mark.parametrize(("suffix", "last"), [(".avi", True), (".mkv", False)])
def test_damage_is_skipped_and_reported(tmp_path, suffix, last):
    """In the middle of a video, and up to its end."""
    path = write_video(tmp_path / f"video{suffix}")
    data = path.read_bytes()
    half, length = len(data) // 2, len(data) // 4 if last else len(data) - len(data) // 2
    path.write_bytes(data[:half] + bytes(length) + data[half + length :])
    frames, (error,) = split(path)
    assert 10 < len(frames) < FRAMES
    assert [frame.number for frame in frames] == list(range(len(frames)))
    if last:
        assert frames[-1].image[40, 40].mean() == pytest.approx(5 * (FRAMES - 1), abs=4)
    assert str(len(frames)) in error
    assert "damaged" in error


def test_an_mp4_trimmed_by_its_edit_list_is_complete(tmp_path):
    path = write_video(tmp_path / "video.mp4")
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    (length,) = struct.unpack_from(">I", data, at)
    struct.pack_into(">I", data, at, length // 2)
    path.write_bytes(data)
    frames, errors = split(path)
    assert (len(frames), errors) == (FRAMES // 2, [])


def test_files_that_are_not_videos(tmp_path):
    empty, text = tmp_path / "empty.mp4", tmp_path / "text.mp4"
    empty.write_bytes(b"")
    text.write_text("not a video but text\n" * 30)
    paths = (empty, text, tmp_path / "none.mp4", text / "below.mp4", "a\0b.mp4", tmp_path)
    for path, word in zip(paths, ("empty", "630", "exist", "exist", "path", "read"), strict=True):
        frames, (error,) = split(path)
        assert frames == []
        assert word in error


def test_a_video_is_quiet(tmp_path, capfd):
    path = write_video(tmp_path / "video.mp4")
    path.write_bytes(path.read_bytes()[:-200])
    split(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", [b"12:30.avi", b"\xff.avi", b"two\nlines.avi", b"50%03d.avi"])
def test_strange_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "plain.avi", 3).rename(os.fsdecode(name))
    frames, errors = split(os.fsdecode(name))
    assert (len(frames), errors) == (3, [])
    assert frames[0].source == name.decode("utf-8", "replace")


def test_among_other_sources(tmp_path, digit_file):
    write_video(tmp_path / "video.AVI".lower(), 2).rename(tmp_path / "video.AVI")
    digit_file(7)
    (image,) = read_frames(expand_sources([str(tmp_path)]))
    assert image.source == str(tmp_path / "digit.png")  # a folder gives its images only
    named = list(read_frames(expand_sources([str(tmp_path / "*.*"), str(tmp_path / "none.mkv")])))
    assert [Path(item.source).name for item in named] == [
        "digit.png", "video.AVI", "video.AVI", "none.mkv"
    ]  # fmt: skip
    assert [getattr(item, "number", None) for item in named] == [None, 0, 1, None]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_frames_come_one_by_one_and_the_file_is_closed(tmp_path):
    path = write_video(tmp_path / "video.avi")
    stream = video_frames(path)
    assert next(stream).number == 0
    assert is_open(path)
    stream.close()
    assert not is_open(path)


def is_open(path: Path) -> bool:
    """Whether this process has a file open; others come and go with other tests' leavings."""
    links = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(link.readlink())
    return path in links


FTYP, SEGMENT = b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67"


@pytest.mark.parametrize(
    ("data", "complete"),
    [
        (b"RIFF" + struct.pack("<I", 12) + bytes(12), True),
        (b"RIFF" + struct.pack("<I", 13) + bytes(12), False),
        (b"RIFF" + bytes(16), None),  # a recorder that was interrupted
        (FTYP + b"\0\0\0\x08moov", True),
        (FTYP + b"\0\0\0\x08mdat", False),  # no index
        (FTYP + b"\0\0\0\x08moov\0\0\0\x09mdat", False),
        (FTYP + b"\0\0\0\x08moov\0\0\0\0mdat123", True),  # up to the end
        (FTYP + b"\0\0\0\x08moov\0\0\0\x01mdat" + struct.pack(">Q", 18) + b"ab", True),
        (FTYP + b"\0\0\0\x08moov\0\0\0\x01mdat" + struct.pack(">Q", 19) + b"ab", False),
        (FTYP + b"\0\0\0\x08moov\0\0", False),
        *((SEGMENT + b, True) for b in (b"\x82ab", b"\x40\x02ab")),
        *((SEGMENT + b, False) for b in (b"\x83ab", b"\x40\x03ab")),
        *((SEGMENT + b, None) for b in (b"\xff", b"")),  # a live recorder's
        *((b, None) for b in (b"\x1a\x45\xdf\xa3", b"RIFF", b"", b"text")),
    ],
)
def test_containers(data, complete):
    assert containers.is_whole(io.BytesIO(data)) is complete
