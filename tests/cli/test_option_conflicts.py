"""Options that have no effect, or that contradict each other, and outputs that cannot be."""

import pytest
from support.cli import one_error_line, run


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--hold", 3), "--hold requires a camera, a stream or a video"),
        (("--every-frame",), "--every-frame requires a camera, a stream or a video"),
        (("--unordered",), "--unordered requires --workers of 2 or more"),
        (("--mode", "digit", "--gap", 1), "--gap cannot be combined with --mode digit"),
        (
            ("--mode", "digit", "--expect", 4),
            "--expect must be 1 with --mode digit; each image is read as one digit",
        ),
        (
            ("--mode", "digit", "--pattern", r"\d{4}"),
            "--pattern must match a digit with --mode digit; each image is read as one digit",
        ),
        (("--pattern", "[0-9"), "--pattern '[0-9': '[' is not closed; add ]"),
        (("--pattern", r"\d{4"), r"--pattern '\d{4': '{' is not closed; add }"),
    ],
)
def test_options_without_effect_are_refused(digit_file, options, line):
    assert line in one_error_line(run("infer", digit_file(1), *options), 2)


def test_a_pattern_may_match_videos(digit_file):
    path = digit_file(1)
    result = run("infer", f"{path.parent}/*.png", "--hold", 3)
    assert result.exit_code == 0
    assert path.name in result.stdout


def test_a_watched_folder_has_no_frames(tmp_path):
    result = run("infer", "--watch", tmp_path, "--output", tmp_path / "o.csv", "--hold", 3)
    assert "--hold requires a camera" in one_error_line(result, 2)


def test_the_settings_of_pages_do_not_stop_another_mode(digit_file, tmp_path):
    settings = tmp_path / "digitkit.toml"
    settings.write_text("gap = 1.0\nexpect = 4\n")
    result = run("infer", digit_file(1), "--config", settings, "--mode", "digit")
    assert result.exit_code == 0, result.output


def test_hold_goes_with_tracked_frames_only():
    result = run("infer", "clip.avi", "--every-frame", "--hold", 3)
    assert "--hold cannot be combined with --every-frame" in one_error_line(result, 2)


def test_the_other_option_of_a_path_that_is_taken_is_named_as_it_is_typed(digit_file, tmp_path):
    folder = tmp_path / "seen"
    result = run("infer", digit_file(1), "--annotate", folder, "--explain", folder)
    line = one_error_line(result, 2)
    assert "--explain must not be the same as --annotate" in line or (
        "--annotate must not be the same as --explain" in line
    )


def test_an_output_that_cannot_be_written_is_a_usage_error(tmp_path):
    """Nothing was measured yet."""
    assert "is a folder" in one_error_line(run("bench", "--json", tmp_path, "--quick"), 2)


@pytest.mark.parametrize("command", [("inspect",), ("infer", "--model")])
def test_a_file_that_is_no_model_is_called_that(tmp_path, digit_file, command):
    path = tmp_path / "page.onnx"
    path.write_bytes(b"\xff" * 100)
    result = run(*command, path, *([digit_file(1)] if len(command) > 1 else []))
    assert "page.onnx: is not an ONNX model, or only a part of one (100 bytes)" in one_error_line(
        result, 2
    )


def test_a_binary_file_is_no_file_of_corrections(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_bytes(b"\xff\xd8\x00\n{\n\x00{\n" * 20)
    result = run("corrections", path, "--out", tmp_path / "corrections")
    assert "is not a file of corrections" in one_error_line(result, 1)
    assert not result.stdout


def test_a_file_without_a_correction_is_an_error(tmp_path):
    path = tmp_path / "corrections.jsonl"
    path.write_text("", "utf-8")
    result = run("corrections", path, "--out", tmp_path / "corrections")
    assert "corrections.jsonl: contains no correction" in one_error_line(result, 1)
    assert not result.stdout


def test_the_figures_of_an_evaluation_need_a_folder(tmp_path):
    """It is said before the evaluation."""
    path = tmp_path / "page.jpg"
    path.touch()
    result = run("eval", "--data", tmp_path / "missing", "--out", path)
    assert f"--out must be a folder, got the file {path}" in one_error_line(result, 2)


@pytest.mark.parametrize("option", ["--annotate", "--explain"])
def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path, digit_file, option):
    (tmp_path / "file").write_text("x")
    output = tmp_path / "o.csv"
    result = run("infer", digit_file(1), option, tmp_path / "file" / "new", "--output", output)
    assert "file/new: cannot be written" in one_error_line(result, 2)
    assert not output.exists()


def test_pictures_may_go_into_the_current_folder(tmp_path, digit_file, monkeypatch):
    path = digit_file(1, "scans/digit.png")
    monkeypatch.chdir(tmp_path)
    assert run("infer", path, "--annotate", ".").exit_code == 0
    assert (tmp_path / "digit.png").exists()


def test_a_folder_of_figures_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("x")
    result = run("eval", "--data", tmp_path / "missing", "--out", tmp_path / "file" / "new")
    assert "file/new: cannot be written" in one_error_line(result, 2)


def test_a_parquet_table_needs_a_name(digit_file):
    result = run("infer", digit_file(1), "--format", "parquet", "--output", ".")
    assert "--output must be a name, got ." in one_error_line(result, 2)


def test_a_folder_in_the_place_of_a_parquet_table(tmp_path, digit_file):
    pytest.importorskip("pyarrow")
    folder = tmp_path / "table.parquet"
    folder.mkdir()
    (folder / "precious.txt").touch()
    result = run("infer", digit_file(1), "--output", folder)
    assert "exists, and is not a table that can be continued; name another" in one_error_line(
        result, 2
    )


def test_corrections_before_a_torn_end_are_kept(tmp_path):
    """Of a power cut, zeros may be left at the end of a file."""
    path = tmp_path / "corrections.jsonl"
    path.write_bytes(b'{"a": 1}\n' + bytes(64))
    result = run("corrections", path, "--out", tmp_path / "corrections")
    assert result.exit_code == 1
    assert [line.split(":")[2] for line in result.stderr.splitlines()] == ["1", "2"]


def test_the_blank_form_is_not_read_for_a_template_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    result = run("form", "new", "blank.png", "--out", tmp_path / "file" / "form.toml")
    assert one_error_line(result, 2)
