"""The state of a run: what is there after an end that was not planned."""

from digitkit.system.run_file import create_run_file, open_run_file


def test_zeros_at_the_end_are_no_entries(tmp_path):
    """Of a power cut, zeros may be left at the end of a file."""
    path = tmp_path / "r.csv.run"
    with create_run_file(path, {"model": "m"}) as run:
        run.append(3, b"hello")
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(64))
    with open_run_file(path) as run:
        assert run.header == {"model": "m"}
        assert list(run.entries()) == [(3, b"hello")]
    assert path.read_bytes() == whole


def test_a_run_that_begins_replaces_one_that_is_there(tmp_path):
    path = tmp_path / "r.csv.run"
    with create_run_file(path, {"a": "long" * 100}) as run:
        run.append(1, b"old")
    with create_run_file(path, {}) as run:
        run.append(2, b"new")
        run.clear()
        run.append(2, b"newer")
    with open_run_file(path) as run:
        assert (run.header, list(run.entries())) == ({}, [(2, b"newer")])
