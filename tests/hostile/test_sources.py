"""Folders and files that would end a run, block it or exhaust memory."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.cli import run

from digitkit.errors import DigitkitError, SettingsError
from digitkit.images import decode
from digitkit.images.convert import from_array
from digitkit.images.decode import decode_file
from digitkit.inference.settings import load_settings
from digitkit.sources.files import expand_sources
from digitkit.sources.frames import Failure
from digitkit.sources.video import video_frames


def infer(*arguments: object) -> tuple[int, list[dict[str, object]]]:
    result = run("infer", *arguments, "--format", "jsonl", "--min-confidence", 0)
    assert "Traceback" not in result.output
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("link", ["loop.png", "a-loop"])
def test_a_link_to_itself_is_one_failure_at_most(digit_file, link):
    folder = digit_file(7, "images/seven.png").parent
    (folder / link).symlink_to(link)
    code, lines = infer(folder, "--annotate", folder.parent / "seen")
    assert code == int(link.endswith(".png"))
    assert [line["text"] for line in lines if "text" in line] == ["7"]
    assert len(lines) == 1 + code


def test_an_unreadable_folder_hides_only_itself(digit_file, monkeypatch):
    for name in ("a", "b", "c"):
        digit_file(7, f"images/{name}/seven.png")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)  # root may read everything
    code, lines = infer(digit_file(1, "images/z.png").parent)
    assert code == 1
    read = {Path(line["source"]).parent.name for line in lines if "text" in line}
    assert read == {"a", "c", "images"}
    (failure,) = (line for line in lines if "error" in line)
    assert failure["source"].endswith("/b")


@pytest.fixture(params=["fifo", "endless device", "link to it", "huge"])
def special(request, tmp_path, monkeypatch) -> Path:
    """A file that must not be read to its end."""
    path = tmp_path / "special.png"
    if request.param == "fifo":
        os.mkfifo(path)
    elif request.param == "endless device":
        return Path("/dev/zero")
    elif request.param == "link to it":
        path.symlink_to("/dev/zero")
    else:
        with path.open("wb") as file:
            file.truncate(30 << 30)  # sparse
    return path


def test_special_files_are_refused_at_once(special):
    with pytest.raises(DigitkitError):
        decode_file(special)
    with pytest.raises(DigitkitError):
        load_settings(special)
    if special.stat().st_size == 0:
        (item,) = video_frames(special)
        assert isinstance(item, Failure)
    assert list(expand_sources([str(special)])) == [special]
    code, (line,) = infer(special)
    assert (code, line["source"]) == (1, str(special))
    assert "error" in line


def test_standard_input_may_be_a_pipe(digit_file, monkeypatch):
    reading, writing = os.pipe()
    os.write(writing, digit_file(7).read_bytes())
    os.close(writing)
    monkeypatch.setattr("digitkit.system.bounded.STANDARD_INPUT", (f"/dev/fd/{reading}",))
    assert decode_file(f"/dev/fd/{reading}").shape == (28, 28)
    os.close(reading)


def test_standard_input_has_a_limit_too(digit_file, monkeypatch):
    monkeypatch.setattr(decode, "MAX_FILE_BYTES", 100)
    path = digit_file(7)
    monkeypatch.setattr("digitkit.system.bounded.STANDARD_INPUT", (str(path),))
    with pytest.raises(DigitkitError):
        decode_file(path)


@pytest.mark.parametrize("channels", [(), (2,)])
def test_signalling_nans_count_as_0(channels):
    bits = np.full((2, 2, *channels), 0x3F800000, np.uint32)
    bits[0, 0] = 0x7FA00000
    image = from_array(bits.view(np.float32))  # a warning would be an error
    assert image.shape == (2, 2)


def test_a_closed_standard_input_is_a_failure(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    (failure,) = expand_sources(["-"])
    assert isinstance(failure, Failure)


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 50_000, "\0", "a" + ".d" * 5_000 + " = 1", "#" * 70_000]
)
def test_settings_that_are_not_toml(tmp_path, text):
    path = tmp_path / "digitkit.toml"
    path.write_text(text)
    with pytest.raises(SettingsError):
        load_settings(path)
    with pytest.raises(SettingsError):
        load_settings(tmp_path / "a\0b.toml")


@pytest.mark.parametrize("nul", [False, True])
@pytest.mark.parametrize("kind", ["endless", "write-only"])
def test_standard_input_that_is_no_list(tmp_path, monkeypatch, nul, kind):
    path = tmp_path / "list"
    path.write_bytes(b"x" * 200_000)
    with path.open("rb") as file:
        if kind == "write-only":
            writable = os.open(path, os.O_WRONLY)
            os.dup2(writable, file.fileno())
            os.close(writable)
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=file))
        (failure,) = expand_sources(["-"], nul=nul)
    assert isinstance(failure, Failure)
    assert failure.source == "-"
