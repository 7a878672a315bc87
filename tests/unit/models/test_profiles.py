"""What is kept for a device, and how `digitkit infer` uses it."""

import json
import pwd
from dataclasses import asdict, replace
from pathlib import Path

import onnxruntime
import pytest
from support.cli import run
from support.errors import error_of

from digitkit.errors import OutputError, ReportError
from digitkit.models import profiles
from digitkit.models.classifier import Classifier
from digitkit.models.profiles import Profile, find_profile, profile_file, save_profiles
from digitkit.models.registry import models_folder
from digitkit.system.machine import cpu_name

INT8, FP32 = "digits-int8.onnx", "digits-fp32.onnx"


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """The file of the profiles, on a machine of two cores."""
    path = tmp_path / "device" / "profile.json"
    monkeypatch.setenv("DIGITKIT_PROFILE", str(path))
    monkeypatch.setattr("digitkit.system.machine.usable_cores", lambda: 2)
    return path


def make_profile(model: str = "digits", **changes) -> Profile:
    fitting = Profile(
        model, "fp32", 2, 8, 30.0, 1e5, 0.99, "why", profiles.shipped_hashes(model),
        onnxruntime.__version__, cpu_name(), "2026-01-02T03:04:05+00:00",
    )  # fmt: skip
    return replace(fitting, **changes)


def write(place: Path, models: object) -> None:
    place.parent.mkdir(exist_ok=True)
    place.write_text(json.dumps({"format": profiles.PROFILE_FORMAT, "models": models}))


def find_problem(place: Path) -> ReportError:
    """Why the profile of digits is ignored."""
    profile, notice = find_profile("digits")
    assert (profile, notice.subject) == (None, str(place))
    return notice


@pytest.fixture
def loaded(monkeypatch):
    """What classifiers were made of: the file, threads, batch."""
    seen = []
    init = Classifier.__init__

    def remember(self, model="digits", **options):
        init(self, model, **options)
        seen.append((self.path.name, options["threads"], options["batch"]))

    monkeypatch.setattr(Classifier, "__init__", remember)
    return seen


def test_where_it_is(monkeypatch, tmp_path):
    for name in ("DIGITKIT_PROFILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profile_file() == tmp_path / ".config/digitkit/profile.json"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "x"))
    assert profile_file() == tmp_path / "x/digitkit/profile.json"
    monkeypatch.setenv("DIGITKIT_PROFILE", "p.json")
    assert profile_file() == Path("p.json")
    monkeypatch.setenv("DIGITKIT_PROFILE", "")  # is as good as none
    assert profile_file() == tmp_path / "x/digitkit/profile.json"


def test_what_is_saved_is_found(place):
    assert find_profile("digits") == (None, None)
    assert save_profiles([make_profile("digits-tiny"), make_profile(threads=1)]) == place
    assert find_profile("digits") == (make_profile(threads=1), None)
    save_profiles([make_profile()])  # the other one is kept
    for model in ("digits", "digits-tiny"):
        assert find_profile(model) == (make_profile(model), None)
    assert find_profile("own") == (None, None)
    names = {path.name for path in place.parent.iterdir()}
    assert names == {"profile.json", ".profile.json.lock"}


def test_only_shipped_models_are_saved(place):
    hashes = profiles.shipped_hashes("digits")
    for wrong in (
        make_profile("own"),
        make_profile("own", sha256=hashes),
        *(make_profile(sha256=bad) for bad in ({}, {"int8": "0" * 64}, hashes | {"fp16": "0"})),
    ):
        error = error_of(ReportError, save_profiles, [make_profile("digits-tiny"), wrong])
        assert error.subject == wrong.model
    assert not place.exists()


def test_a_damaged_file_is_ignored_and_replaced(place):
    place.parent.mkdir()
    for data in (b"", b"\xff\xfe", b"{", b"[]", b"[" * 100_000, b'{"format": 1}'):
        place.write_bytes(data)
        find_problem(place)
        save_profiles([make_profile()])
        assert find_profile("digits")[0] == make_profile()


def test_damaged_values_are_ignored(place):
    bad_values = {
        "threads": (0, -1, "2", 1.5, None, True),
        "batch": (0, "8", []),
        "precision": ("auto", "", None, [], {}),
        "sha256": (None, [], "x", {}),
    }
    good = asdict(make_profile())
    bad = [good | {name: value} for name, values in bad_values.items() for value in values]
    bad.append(good | {"precision": "x", "sha256": {"x": None}})
    for values in (*bad, [], "x", 5, {}, {"threads": 2}):
        write(place, {"digits": values})
        find_problem(place)


def test_a_file_that_cannot_be_read_is_not_replaced(place, monkeypatch):
    save_profiles([make_profile("digits-tiny")])

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("digitkit.models.profiles.read_bounded", refuse)
        assert error_of(OutputError, save_profiles, [make_profile()]).subject == str(place)
        find_problem(place)
    assert find_profile("digits-tiny")[0] is not None


def test_a_file_that_cannot_be(monkeypatch):
    """A name that is too long is refused when it is first looked at."""
    for path in ("x" * 5000, "."):
        monkeypatch.setenv("DIGITKIT_PROFILE", path)
        assert find_profile("digits") == (None, None)
        error_of(OutputError, save_profiles, [make_profile()])


def test_a_user_without_a_home(monkeypatch, digit_file):
    """In a container, say, that runs under a number."""
    path = digit_file(7)
    for name in ("DIGITKIT_PROFILE", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def fail(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", fail)
    assert find_profile("digits") == (None, None)
    error_of(OutputError, save_profiles, [make_profile()])
    result = run("infer", path)
    assert (result.exit_code, result.stderr) == (0, "")


def test_what_does_not_matter(place):
    """The file of the other precision may change; a newer version may know more."""
    profile = make_profile(sha256=make_profile().sha256 | {"int8": "0"})
    write(place, {"digits": asdict(profile) | {"more": 1}})
    assert find_profile("digits") == (profile, None)
    for models in ({}, [], None, {"digits": None}):
        write(place, models)
        assert find_profile("digits") == (None, None)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"sha256": {"int8": "0" * 64, "fp32": "0" * 64}}, "model file"),
        ({"onnxruntime": "1.0.0"}, "ONNX Runtime"),
        ({"cpu": "Z80"}, "processor"),
        ({"threads": 3}, "cores (2)"),
    ],
)
def test_a_profile_that_no_longer_fits(place, loaded, digit_file, changes, what):
    write(place, {"digits": asdict(make_profile(**changes))})
    notice = find_problem(place)
    assert what in notice.problem
    assert "digitkit bench --recommend --save" in notice.hint
    result = run("infer", digit_file(7))
    assert (result.exit_code, loaded[0][0], ": 7 (" in result.stdout) == (0, INT8, True)
    (line,) = result.stderr.splitlines()
    assert what in line
    assert run("infer", digit_file(7), "--precision", "int8").stderr == ""  # it is not needed


@pytest.mark.parametrize(
    ("options", "classifier"),
    [
        ((), (FP32, 2, 3)),
        (("--threads", 1), (FP32, 1, 3)),  # what is asked for takes precedence
        (("--precision", "int8"), (INT8, 1, None)),
        (("--model", "digits-tiny"), ("digits-tiny-int8.onnx", 1, None)),
        (("--model", "digits-int8"), (INT8, 1, None)),
        (("--model", models_folder() / INT8), (INT8, 1, None)),
    ],
)
def test_infer_uses_it(place, loaded, digit_file, options, classifier):
    save_profiles([make_profile(threads=2, batch=3)])
    result = run("infer", digit_file(7), *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert ": 7 (" in result.stdout
    assert loaded == [classifier]
