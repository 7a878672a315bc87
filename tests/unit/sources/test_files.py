"""Files, folders, patterns and lists to frames and failures."""

import glob
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.documents import pages_of, without_tag, write_tiff

from digitkit.errors import ImageError, SourceError, install_command
from digitkit.sources import files as source_files
from digitkit.sources import folders, piped
from digitkit.sources.files import expand_sources, read_frames
from digitkit.sources.folders import image_files
from digitkit.sources.frames import Failure, Frame, to_failure
from digitkit.sources.items import ImageBytes, PageOfFile
from digitkit.sources.piped import read_piped
from digitkit.system import sorting


def paths(*named: str) -> list[str]:
    """The paths of sources; ``! SOURCE`` for a failure."""
    return [str(p) if isinstance(p, Path) else f"! {p.source}" for p in expand_sources(named)]


@pytest.fixture
def tree(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b", ".hidden", "empty"):
        Path(folder).mkdir()
    for name in ("b/2.png", "b/10.JPG", "a/1.tif", "a/notes.txt", ".hidden/x.png", "a/.y.png"):
        Path(name).write_bytes(b"x")
    Path("a/odd[1].txt").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a", ["a/1.tif"]),  # folders are searched by suffix
        (".", ["a/1.tif", "b/10.JPG", "b/2.png"]),
        ("a/notes.txt", ["a/notes.txt"]),  # what is named is always tried
        ("a/odd[1].txt", ["a/odd[1].txt"]),  # and what exists is not a pattern
        ("empty", ["! empty"]),
        ("", ["! ''"]),  # not the current folder
        ("b/*.png", ["b/2.png"]),
        ("**/*.[tp][in][fg]", ["a/1.tif", "b/2.png"]),
        ("*.gif", ["! *.gif"]),
    ],
)
def test_folders_and_patterns(tree, source, expected):
    assert paths(source) == expected


def test_lists(tree, monkeypatch):
    stdin = io.BytesIO(b"a/1.tif\r\n\nb/2.png\nlast.png")
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stdin))
    assert paths("-") == ["a/1.tif", "b/2.png", "last.png"]
    read, write = os.pipe()
    os.write(write, "a b.png\0new\nline.png\0ä.png".encode())
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        assert list(read_piped(stream, nul=True)) == ["a b.png", "new\nline.png", "ä.png"]


@pytest.mark.parametrize(
    "pattern",
    [
        *("**", "**/", "**/*", "a/**", "./**/*.png", "**/b/*", "**/x/**/*.png", ".hidden/**/*"),
        *("{}/**/*.png", "**/[[]x]/*", "**.png", "none/**", "b/2.png/**", "a//**/*"),
    ],
)
def test_patterns_are_those_of_glob(tree, pattern):
    for folder in ("a/b/x/y", "a/[x]", "b/**", "b/.hidden"):
        (tree / folder).mkdir(parents=True)
        (tree / folder / "z.png").touch()
    pattern = pattern.format(tree)
    expected = filter(os.path.isfile, glob.glob(pattern, recursive=True))
    assert sorted(folders.match_files(pattern)) == sorted(expected)


def test_links_to_folders_are_not_followed_below_two_stars(tree):
    for name in ("one", "two"):  # which would lead to all combinations of them
        Path("b", name).symlink_to(".")
    assert paths("b/**/*.png") == ["b/2.png"]
    assert paths("b/one/*.png") == ["b/one/2.png"]
    assert paths("b/one/**") == ["b/one/10.JPG", "b/one/2.png"]


def read_slowly(data: bytes, step: int, **options) -> list:
    """What is piped in, a few bytes at a time."""
    chunks = iter([data[at : at + step] for at in range(0, len(data), step)] + [b""])
    stream = SimpleNamespace(read1=lambda size: next(chunks))
    return list(read_piped(stream, **options))


def test_a_list_may_begin_with_a_byte_order_mark():
    assert read_slowly(b"\xef\xbb\xbfa.png\r\nb.png\r\n", 9) == ["a.png", "b.png"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".pgm"])
@pytest.mark.parametrize("nul", [False, True])
def test_an_image_that_is_piped_in(digit_file, suffix, nul):
    data = digit_file(4, f"digit{suffix}").read_bytes()
    for step in (1, 7, 100_000):
        assert read_slowly(data, step, nul=nul) == [ImageBytes(data, "-")]
    (frame,) = read_frames([ImageBytes(data, "-")])
    assert (frame.source, frame.shape) == ("-", (28, 28))


@pytest.mark.parametrize(
    "name", ["BMW.png", "GIF.gif", "RIFF.png", "P5", "P5.png", "Photos/P4.jpg", "MM.tif", "%PD.pdf"]
)
def test_names_that_begin_like_images(name):
    for nul, end in ((False, "\n"), (True, "\0")):
        listed = (name + end + "other.png" + end).encode()
        for step in (1, 100):
            assert read_slowly(listed, step, nul=nul) == [name, "other.png"]


def test_a_list_is_read_as_it_comes():
    chunks = iter([b"a.png\nb.p", b"ng\n", None])
    paths = read_piped(SimpleNamespace(read1=lambda size: next(chunks)))
    assert [next(paths), next(paths)] == ["a.png", "b.png"]  # before the end is known


@pytest.mark.parametrize("nul", [False, True])
def test_binary_that_is_no_image(nul, monkeypatch):
    noise = bytes(range(256)) * 300
    for data in (b"\x7fELF\2\1\1" + noise, b"\0\0\0\x18ftypisom" + noise, b"RIFF    AVI " + noise):
        with pytest.raises(ImageError) as caught:
            read_slowly(data, 1000, nul=nul)
        assert "neither" in caught.value.problem
        assert len(str(caught.value)) < 200
    with pytest.raises(ImageError):
        read_slowly(b"a.png\0b.png\0", 1000)  # a list that needs -0
    monkeypatch.setattr(piped, "MAX_FILE_BYTES", 1000)
    with pytest.raises(ImageError):
        read_slowly(b"\x89PNG\r\n\x1a\n" + noise, 100)


def test_what_a_folder_has_and_is_not_read(tree, monkeypatch):
    for name in ("1.pdf", "2.PDF", "x.heic", "clip.mp4", "notes.txt", ".hidden.pdf"):
        Path("b", name).write_bytes(b"x")
    lines: list[str] = []

    def read(*sources: str) -> list[str]:
        lines.clear()
        return [str(item) for item in expand_sources(sources, notice=lines.append)]

    monkeypatch.setattr(folders, "find_spec", lambda name: None)
    assert read("b", "a") == ["b/10.JPG", "b/2.png", "a/1.tif"]
    assert lines == [
        f"b: skipped 2 PDF files ({install_command('pdf')}), "
        f"1 HEIC file ({install_command('heic')}), "
        "1 video (name them to read every frame), 1 other file",
        "a: skipped 2 other files",
    ]
    monkeypatch.setattr(folders, "find_spec", lambda name: name)
    assert read("b") == ["b/1.pdf", "b/10.JPG", "b/2.PDF", "b/2.png", "b/x.heic"]
    assert lines == ["b: skipped 1 video (name them to read every frame), 1 other file"]
    assert [str(path) for path in image_files(Path("b"))] == ["b/10.JPG", "b/2.png", "b/x.heic"]
    Path("empty/a.txt").write_bytes(b"x")
    (failure,) = expand_sources(["empty"], notice=lines.append)
    assert failure.error == "the folder contains no image files; skipped 1 other file"
    assert len(lines) == 1


def test_links_to_folders_are_counted_and_not_followed(tree):
    Path("empty/link").symlink_to("../b")
    Path("a/loop").symlink_to(".")
    Path("a/3.png").symlink_to("../b/2.png")
    (failure,) = expand_sources(["empty"])
    skipped = "skipped 1 linked folder (name it to read what is in it)"
    assert failure.error == f"the folder contains no image files; {skipped}"
    lines: list[str] = []
    items = [str(item) for item in expand_sources(["a"], notice=lines.append)]
    assert items == ["a/1.tif", "a/3.png"]
    assert lines == [f"a: {skipped}, 2 other files"]
    assert [str(item) for item in expand_sources(["empty/link"])] == [
        "empty/link/10.JPG",
        "empty/link/2.png",
    ]


@pytest.fixture
def scan(tmp_path, one_of_each, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_tiff(Path("scan.tiff"), pages_of(one_of_each))


def frames_of(*sources: str) -> list[tuple[str, int | None, bool]]:
    """Name, page, and whether it was decoded, of all frames."""
    frames = list(read_frames(expand_sources(sources)))
    assert {frame.source for frame in frames} == {"scan.tiff"}
    return [(frame.name, frame.page, isinstance(frame, Frame)) for frame in frames]


def test_pages_are_frames(scan):
    assert frames_of("scan.tiff") == [(f"scan.tiff#{page}", page, True) for page in range(1, 6)]
    assert frames_of("scan.tiff#4") == [("scan.tiff#4", 4, True)]
    assert frames_of("scan.tiff#6") == [("scan.tiff#6", 6, False)]
    scan.write_bytes(without_tag(scan.read_bytes(), 3, 273))
    assert [decoded for *_, decoded in frames_of("scan.tiff")] == [True, True, False, True, True]
    (failure,) = read_frames(expand_sources(["scan.tiff#3"]))
    assert (failure.name, failure.page) == ("scan.tiff#3", 3)
    assert "scan.tiff" not in failure.error


def test_names_with_a_number_sign(scan, digit_file):
    assert list(expand_sources(["scan.tiff#2"])) == [PageOfFile(Path("scan.tiff"), 2)]
    assert paths("none.tiff#2", "scan.tiff#", "#1") == ["none.tiff#2", "scan.tiff#", "#1"]
    digit_file(3, "scan.tiff#2")
    assert paths("scan.tiff#2") == ["scan.tiff#2"]  # what exists is taken by its name
    digit_file(3, "single.png")
    (frame,) = read_frames(expand_sources(["single.png#1"]))
    assert (frame.name, frame.page) == ("single.png", None)
    (failure,) = read_frames(expand_sources(["single.png#2"]))
    assert "1 page" in failure.error


def test_files_that_cannot_be_read_are_failures_without_their_name(tree):
    names = ["none.png", "a/notes.txt", "a\0b"]
    failures = list(read_frames(expand_sources(names)))
    assert [(type(failure), failure.source) for failure in failures] == [
        (Failure, name) for name in names
    ]
    assert not [failure for failure in failures if failure.source in failure.error]


def test_a_failure_keeps_the_subject_of_its_error_if_that_is_something_else():
    error = SourceError("cannot be listed", subject="a/b", hint="do this")
    assert to_failure("a/b", error) == Failure("a/b", "cannot be listed; do this")
    assert to_failure("a", error) == Failure("a", "a/b: cannot be listed; do this")


def test_strange_names(tree, digit_file):
    image = digit_file(1).read_bytes()
    for name in ("two words.png", "zwölf ☃.png", "new\nline.png", os.fsdecode(b"\xff.png")):
        Path(name).write_bytes(image)
        (frame,) = read_frames(expand_sources([name]))
        assert isinstance(frame, Frame)
        assert frame.source == name.replace("\udcff", r"\xff")


def test_a_folder_that_cannot_be_listed(tree, monkeypatch):
    scandir = os.scandir

    def refuse(folder):
        if Path(folder).name == "below":
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # root may list everything
    for name in ("below/1.png", "later/2.png"):
        path = Path("c", name)
        path.parent.mkdir(parents=True)
        path.touch()
    failure, file = expand_sources(["c"])
    assert failure.source == "c/below"
    assert "Permission denied" in failure.error
    assert file == Path("c/later/2.png")


def as_before(folder: Path) -> list[str]:
    """The files of a folder in the order in which they always were."""
    found = []
    for base, below, files in os.walk(folder):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [f"{base}/{name}" for name in sorted(files) if not name.startswith(".")]
    return found


@pytest.mark.parametrize("most", [1, 2, 5, 50_000])
def test_files_have_one_order_however_many_there_are(tmp_path, monkeypatch, most):
    names = ["b.png", "B.png", "new\nline.png", "☃.png", os.fsdecode(b"\xff.png"), ".hidden.png"]
    names += [f"{i}.png" for i in range(7)]
    for place in (".", "z", "a/deep/deeper", "a.png", ".no", "two\nlines"):
        folder = tmp_path / "in" / place
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            (folder / name).touch()
    (tmp_path / "in/link").symlink_to(tmp_path / "in/z")
    (tmp_path / "in/loop.png").symlink_to("loop.png")
    expected = as_before(tmp_path / "in")
    assert len(expected) == 12 * 5 + 1
    monkeypatch.setattr(sorting, "MAX_NAMES", most)
    assert [str(path) for path in expand_sources([str(tmp_path / "in")])] == expected
    pattern = [str(path) for path in expand_sources([str(tmp_path / "in/z/*.png")])]
    assert pattern == [name for name in expected if "/in/z/" in name]


def test_frames_come_one_by_one(digit_file):
    names = iter([str(digit_file(digit, f"{digit}.png")) for digit in range(3)])
    next(read_frames(expand_sources(names)))
    assert len(list(names)) == 2


def test_pages_that_are_named_open_their_file_once(tmp_path, one_of_each, monkeypatch):
    scan = write_tiff(tmp_path / "scan.tiff", pages_of(one_of_each))
    opened, read = [], source_files.read_image_file
    monkeypatch.setattr(
        source_files, "read_image_file", lambda path: opened.append(path) or read(path)
    )
    items = [PageOfFile(scan, page) for page in range(1, 6)]
    frames = list(read_frames([*items, PageOfFile(scan, 9)]))
    assert [frame.page for frame in frames] == [1, 2, 3, 4, 5, 9]
    assert isinstance(frames[-1], Failure)
    assert opened == [scan]
