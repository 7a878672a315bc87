"""digitkit corrections."""

import numpy as np
from support.cli import one_error_line, run

from digitkit.datasets.corrections import Correction


def line(id: str, text: str, level: int, kind: str = "digit") -> str:
    images = (np.full((28, 28), level, np.uint8),)
    return Correction(id, kind, text, images, read="7", source="a.png").to_line()


def write(path, *lines: str):
    path.write_text("".join(lines))
    return path


def test_corrections_become_a_folder(tmp_path):
    file = write(tmp_path / "a.jsonl", line("a", "3", 1), line("b", "3", 2), line("c", "", 3))
    done = run("corrections", file, "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert "3 corrections" in done.stdout
    assert "2 digits (2 of 3), 1 image without a digit" in done.stdout
    assert f"digitkit train --init digits --data {tmp_path / 'out'}" in done.stdout
    assert len(list((tmp_path / "out" / "3").glob("*.png"))) == 2
    assert len(list((tmp_path / "out" / "none").glob("*.png"))) == 1


def test_more_files_are_added_and_the_later_correction_counts(tmp_path):
    first = write(tmp_path / "a.jsonl", line("a", "3", 1))
    second = write(tmp_path / "b.jsonl", line("a", "5", 1), line("b", "5", 2))
    run("corrections", first, "--out", tmp_path / "out")
    done = run("corrections", second, "--out", tmp_path / "out")
    assert "2 corrections" in done.stdout
    assert "2 digits (2 of 5)" in done.stdout


def test_a_bad_line_is_one_error_and_the_others_are_converted(tmp_path):
    file = write(tmp_path / "a.jsonl", line("a", "3", 1), "nonsense\n", line("b", "4", 2))
    done = run("corrections", file, tmp_path / "missing.jsonl", "--out", tmp_path / "out")
    assert done.exit_code == 1
    bad, missing = done.stderr.splitlines()
    assert bad.startswith(f"digitkit: {tmp_path / 'a.jsonl'}:2: is not a correction")
    assert missing == f"digitkit: {tmp_path / 'missing.jsonl'}: does not exist"
    assert "2 digits (1 of 3, 1 of 4)" in done.stdout


def test_numbers_that_are_not_used_are_counted(tmp_path):
    file = write(tmp_path / "a.jsonl", line("a", "35", 1, "number"))
    done = run("corrections", file, "--out", tmp_path / "out")
    assert "not used: 1 correction of numbers" in done.stdout
    assert "next:" not in done.stdout


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    file = write(tmp_path / "a.jsonl", line("a", "3", 1))
    error = one_error_line(run("corrections", file, "--out", tmp_path / "out"), 2)
    assert "is neither empty nor a folder of corrections" in error
