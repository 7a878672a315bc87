"""Video files: as OpenCV writes them, and as disks and phones damage them."""

import io
import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from digitkit.images import containers
from digitkit.images.cv import cv2
from digitkit.sources.files import expand_sources, read_frames
from digitkit.sources.frames import Failure, Frame
from digitkit.sources.video import VideoLimits, video_frames

FRAMES, RATE = 40, 20
CODECS = {".avi": "MJPG", ".mp4": "mp4v", ".mov": "mp4v", ".mkv": "MJPG", ".webm": "VP80"}
OTHER_CODECS = {".flv": "FLV1", ".ts": "mp4v", ".wmv": "WMV2"}


def write_video(path: Path, frames: int = FRAMES) -> Path:
    """Frame i is of level 5·i, 64×48, with a white corner at the top left."""
    code = cv2.VideoWriter_fourcc(*(CODECS | OTHER_CODECS)[path.suffix])
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
    """The frames of a video, and the error of its failure, which comes last."""
    items = list(video_frames(path))
    errors = [item.error for item in items[-1:] if isinstance(item, Failure)]
    frames = items[: len(items) - len(errors)]
    assert all(isinstance(frame, Frame) for frame in frames)
    return frames, errors


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


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".webm", ".mp4", ".flv", ".wmv"])
def test_a_truncated_video_gives_what_it_has(tmp_path, suffix, capfd):
    path = write_video(tmp_path / f"video{suffix}")
    data = path.read_bytes()
    whole = index_first(data) if suffix == ".mp4" else data
    path.write_bytes(whole)
    capfd.readouterr()  # what OpenCV prints while it writes
    assert len(split(path)[0]) == FRAMES
    path.write_bytes(whole[: len(whole) * 2 // 3])
    frames, (error,) = split(path)
    assert 5 < len(frames) < FRAMES
    assert str(len(frames)) in error
    assert "truncated" in error
    assert [item.kind for item in video_frames(path) if isinstance(item, Failure)] == ["bad image"]
    if suffix == ".mp4":  # an index behind the frames is lost
        path.write_bytes(data[: len(data) // 2])
        frames, (error,) = split(path)
        assert frames == []
        assert "truncated" in error
    assert capfd.readouterr() == ("", "")


def test_an_flv_that_ends_behind_a_tag_is_truncated(tmp_path):
    path = write_video(tmp_path / "video.flv")
    data, at = path.read_bytes(), 13
    while at < len(data) // 2:
        at += 15 + int.from_bytes(data[at + 1 : at + 4])
    path.write_bytes(data[:at])
    frames, (error,) = split(path)
    assert 5 < len(frames) < FRAMES
    assert "truncated" in error


@pytest.mark.parametrize("suffix", CODECS)
def test_no_frame_is_lost_silently(tmp_path, suffix):
    path = write_video(tmp_path / f"video{suffix}", 12)
    data = path.read_bytes()
    draw = random.Random(1)
    lossy = 0
    for _ in range(25):
        at = draw.randrange(len(data) // 4, len(data) * 3 // 4)
        length = draw.choice([40, 200, len(data) // 6])
        noise = draw.choice([bytes(length), draw.randbytes(length)])
        path.write_bytes(data[:at] + noise + data[at + length :])
        frames, errors = split(path)
        lossy += len(frames) < 12
        assert len(frames) == 12 or len(errors) == 1
    assert lossy > 3


def test_frames_have_a_size_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("digitkit.sources.video.MAX_PIXELS", 64 * 48 - 1)
    frames, errors = split(write_video(tmp_path / "video.avi", 3))
    assert (frames, len(errors)) == ([], 1)


PLAYLISTS = {
    "concat": "ffconcat version 1.0\nfile other.avi\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.avi\n#EXT-X-ENDLIST\n",
    "sdp": "v=0\nc=IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 26\n",
}


@pytest.mark.parametrize("text", PLAYLISTS.values(), ids=PLAYLISTS.keys())
def test_a_playlist_in_a_video_opens_no_other_file(tmp_path, text):
    write_video(tmp_path / "other.avi", 3)
    (tmp_path / "video.mp4").write_text(text)
    frames, errors = split(tmp_path / "video.mp4")
    assert (frames, len(errors)) == ([], 1)


@pytest.mark.parametrize(
    ("suffix", "last"), [(".avi", True), (".mkv", False), (".flv", False), (".wmv", False)]
)
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


ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
DURATIONS = {
    ".mkv": (b"\x44\x89\x88", 3, struct.pack(">d", 9000)),
    ".webm": (b"\x44\x89\x88", 3, struct.pack(">d", 9000)),
    ".flv": (b"duration\0", 9, struct.pack(">d", 9)),
    ".wmv": (ASF_FILE_PROPERTIES, 64, struct.pack("<Q", 9 * 10**7)),
}
"""The duration in a file's header: what is in front of it, how far away it is, and nine seconds."""


@pytest.mark.parametrize("suffix", DURATIONS)
def test_a_file_that_lasts_longer_than_its_picture_is_complete(tmp_path, suffix):
    """As with a longer sound, or where the first frame is late."""
    path = write_video(tmp_path / f"video{suffix}")
    data = path.read_bytes()
    mark, distance, duration = DURATIONS[suffix]
    at = data.index(mark) + distance
    path.write_bytes(data[:at] + duration + data[at + 8 :])
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) > 2 * FRAMES
    frames, errors = split(path)
    assert (len(frames), errors) == (FRAMES, [])
    with path.open("ab") as file:
        file.write(bytes(100))  # as some programs leave behind the end
    frames, errors = split(path)
    assert (len(frames), errors) == (FRAMES, [])


def test_bytes_behind_the_end_of_an_avi_do_not_matter(tmp_path):
    path = write_video(tmp_path / "video.avi")
    data = bytearray(path.read_bytes())
    count = data.index(struct.pack("<I", FRAMES), data.index(b"avih"))
    data[count : count + 4] = struct.pack("<I", FRAMES + 2)  # as where the last ones are hidden
    path.write_bytes(data + bytes(100))
    frames, errors = split(path)
    assert (len(frames), errors) == (FRAMES, [])


def test_a_transport_stream_with_a_longer_sound_is_complete(tmp_path):
    data = write_video(tmp_path / "sound.ts", FRAMES + 10).read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    sound = b"".join(  # as stream 0x101 instead of 0x100, in packets of sound
        packet[:2] + b"\x01" + packet[3:].replace(b"\0\0\1\xe0", b"\0\0\1\xc0")
        for packet in packets
        if packet[1] & 0x1F == 1 and packet[2] == 0
    )
    path = write_video(tmp_path / "video.ts")
    path.write_bytes(sound + path.read_bytes())
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FRAME_COUNT) > FRAMES / 0.9
    frames, errors = split(path)
    assert (len(frames), errors) == (FRAMES, [])


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("empty.mp4", "empty"), ("text.mp4", "630"), ("none.mp4", "exist"),
        ("text.mp4/below.mp4", "exist"), ("a\0b.mp4", "path"), (".", "read"),
    ],
)  # fmt: skip
def test_files_that_are_not_videos(tmp_path, monkeypatch, name, word):
    monkeypatch.chdir(tmp_path)
    Path("empty.mp4").write_bytes(b"")
    Path("text.mp4").write_text("not a video but text\n" * 30)
    frames, (error,) = split(name)
    assert frames == []
    assert word in error


@pytest.mark.parametrize("name", [b"12:30.avi", b"\xff.avi", b"two\nlines.avi", b"50%03d.avi"])
def test_strange_names(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "plain.avi", 3).rename(os.fsdecode(name))
    frames, errors = split(os.fsdecode(name))
    assert (len(frames), errors) == (3, [])
    assert frames[0].source == name.decode("utf-8", "backslashreplace")


def test_among_other_sources(tmp_path, digit_file):
    write_video(tmp_path / "video.AVI".lower(), 2).rename(tmp_path / "video.AVI")
    digit_file(7)
    (image,) = read_frames(expand_sources([str(tmp_path)]))
    assert image.source == str(tmp_path / "digit.png")  # a folder gives its images only
    named = list(read_frames(expand_sources([str(tmp_path / "*.*"), str(tmp_path / "none.mkv")])))
    assert [(Path(item.source).name, getattr(item, "number", None)) for item in named] == [
        ("digit.png", None), ("video.AVI", 0), ("video.AVI", 1), ("none.mkv", None)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "frames"),
    [
        (VideoLimits(), FRAMES),
        (VideoLimits(frames=1), 1),
        (VideoLimits(frames=FRAMES + 1), FRAMES),
        (VideoLimits(seconds=0.001), 1),
        (VideoLimits(seconds=10 / RATE), 10),
        (VideoLimits(frames=3, seconds=1), 3),
    ],
)
def test_a_video_is_read_up_to_its_limits(tmp_path, limits, frames):
    path = write_video(tmp_path / "video.avi")
    items = list(read_frames([path], limits=limits))
    assert [item.number for item in items] == list(range(frames))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux")
def test_frames_come_one_by_one_and_the_file_is_closed(tmp_path):
    path = write_video(tmp_path / "video.avi")

    def is_open() -> bool:
        return str(path) in map(os.path.realpath, Path("/proc/self/fd").iterdir())

    stream = video_frames(path)
    assert next(stream).number == 0
    assert is_open()
    stream.close()
    assert not is_open()


FTYP, SEGMENT = b"\0\0\0\x08ftyp", b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67"
VOID = b"\xec\x80"
CLUSTER = b"\x1f\x43\xb6\x75"


def riff(*chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(b"".join(chunks))) + b"AVI " + b"".join(chunks)


def movi(*chunks: bytes) -> bytes:
    return b"LIST" + struct.pack("<I", 4 + len(b"".join(chunks))) + b"movi" + b"".join(chunks)


CHUNK = b"00dc" + struct.pack("<I", 3) + b"abc\0"
FLV = b"FLV\x01\x01" + struct.pack(">2I", 9, 0)
TAG = b"\x09\0\0\x02" + bytes(7) + b"ab" + struct.pack(">I", 13)


def asf(*lengths: int) -> bytes:
    """Objects of these lengths, which contain nothing."""
    objects = (bytes(16) + struct.pack("<Q", length) + bytes(length - 24) for length in lengths)
    return b"\x30\x26\xb2\x75" + b"".join(objects)[4:]


def test_nested_lists_and_endless_chunks(monkeypatch):
    nested = CHUNK
    for _ in range(3000):
        nested = b"LIST" + struct.pack("<I", 4 + len(nested)) + b"rec " + nested
    assert containers.check_container(io.BytesIO(riff(movi(nested)))) == "whole"
    monkeypatch.setattr(containers, "MAX_CHUNKS", 4)
    assert containers.check_container(io.BytesIO(riff(movi(CHUNK, CHUNK)))) == "whole"
    assert containers.check_container(io.BytesIO(riff(movi(*[CHUNK] * 5)))) is None
    assert containers.check_container(io.BytesIO(SEGMENT + b"\x8a" + 5 * VOID)) is None


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (b"G" + bytes(187) + b"G", True), (bytes(4) + b"G" + bytes(191) + b"G", True),
        (b"G\nc=IN IP4 127.0.0.1\nm=video 5000 RTP/AVP 26\n" * 5, False), (b"", False),
        (b"\r\n--frame\r\nContent-Type: image/jpeg\r\n", True), (b"--frame\n", False),
    ],
)  # fmt: skip
def test_beginnings(head, known):
    assert containers.is_video_container(head[: containers.SIGNATURE_BYTES]) == known


@pytest.mark.parametrize(
    ("state", "files"),
    [
        ("whole", [
            riff(), riff(movi()), riff(movi(CHUNK, CHUNK), CHUNK),
            FTYP + b"\0\0\0\x08moov",
            FTYP + b"\0\0\0\x08moov\0\0\0\0mdat123",  # up to the end
            FTYP + b"\0\0\0\x08moov\0\0\0\x01mdat" + struct.pack(">Q", 18) + b"ab",
            SEGMENT + b"\x82" + VOID, SEGMENT + b"\x40\x02" + VOID,
            SEGMENT + b"\x89" + CLUSTER + b"\x82" + VOID + VOID,
            SEGMENT + b"\x87" + CLUSTER + b"\xffab",  # where it ends is open
            riff() + riff(movi(CHUNK)), FLV + TAG + TAG, FLV + TAG[:-4], asf(30, 60, 24),
            riff() + bytes(9),  # other bytes at the end
        ]),
        ("truncated", [
            riff(movi(CHUNK))[:-1],
            FTYP + b"\0\0\0\x08mdat",  # no index
            FTYP + b"\0\0\0\x08moov\0\0\0\x09mdat",
            FTYP + b"\0\0\0\x08moov\0\0\0\x01mdat" + struct.pack(">Q", 19) + b"ab",
            FTYP + b"\0\0\0\x08moov\0\0",
            SEGMENT + b"\x83" + VOID, SEGMENT + b"\x40\x03" + VOID,
            riff() + riff(movi(CHUNK))[:-1], FLV[:8], FLV + TAG + TAG[:-5], FLV + TAG[:2],
            asf(30), asf(30, 60)[:-1],
        ]),
        ("damaged", [
            riff(movi(CHUNK, bytes(8))), riff(movi(CHUNK.replace(b"\3", b"\5"))),
            SEGMENT + b"\x82ab", SEGMENT + b"\x82\xec\x81", SEGMENT + b"\x81\xec",
            SEGMENT + b"\x89" + CLUSTER + b"\x82ab" + VOID,
            FLV + TAG + bytes(9), asf(30, 60) + bytes(30),
        ]),
        (None, [
            b"RIFF" + bytes(16), SEGMENT + b"\xff", SEGMENT,  # interrupted or live recorders'
            riff() + b"RIFF" + bytes(8), asf(30, 50) + bytes(30),
            b"\x1a\x45\xdf\xa3", b"RIFF", b"", b"text",
        ]),
    ],
)  # fmt: skip
def test_containers(state, files):
    states = [containers.check_container(io.BytesIO(data)) for data in files]
    assert states == [state] * len(files)
