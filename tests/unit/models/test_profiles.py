"""What is kept for a device, and how `digitkit infer` uses it."""

from __future__ import annotations

import json
import pwd
from dataclasses import asdict, replace
from pathlib import Path

import onnxruntime
import pytest
from typer.testing import CliRunner

from digitkit.cli.app import app
from digitkit.errors import OutputError, ReportError
from digitkit.models import profiles
from digitkit.models.classifier import Classifier
from digitkit.models.profiles import Profile
from digitkit.models.registry import models_folder
from digitkit.system.machine import cpu_name, usable_cores


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "device" / "profile.json"
    monkeypatch.setenv("DIGITKIT_PROFILE", str(path))
    if usable_cores() < 2:  # as many as `profile` has threads
        monkeypatch.setattr("digitkit.system.machine.usable_cores", lambda: 2)
    return path


def profile(model: str = "digits", **changes) -> Profile:
    hashes = profiles.shipped_hashes(model)
    fitting = Profile(
        model, "fp32", 2, 8, 30.0, 1e5, 0.99, "why", hashes, onnxruntime.__version__,
        cpu_name(), "2026-01-02T03:04:05+00:00",
    )  # fmt: skip
    return replace(fitting, **changes)


def assert_ignored(place: Path) -> ReportError:
    """The profile of digits is ignored; why."""
    found, notice = profiles.find_profile("digits")
    assert found is None
    assert notice.subject == str(place)
    return notice


def infer(*arguments: object):
    return CliRunner().invoke(app, ["infer", *map(str, arguments)])


@pytest.fixture
def loaded(monkeypatch):
    """What classifiers were made of."""
    seen = []
    init = Classifier.__init__

    def remember(self, model="digits", **options):
        init(self, model, **options)
        seen.append({"file": self.path.name, **options})

    monkeypatch.setattr(Classifier, "__init__", remember)
    return seen


# --- the file --------------------------------------------------------------------------------


def test_where_it_is(monkeypatch, tmp_path):
    for name in ("DIGITKIT_PROFILE", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profiles.profile_file() == tmp_path / ".config/digitkit/profile.json"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "x"))
    assert profiles.profile_file() == tmp_path / "x/digitkit/profile.json"
    monkeypatch.setenv("DIGITKIT_PROFILE", "p.json")
    assert profiles.profile_file() == Path("p.json")
    monkeypatch.setenv("DIGITKIT_PROFILE", "")  # is as good as none
    assert profiles.profile_file() == tmp_path / "x/digitkit/profile.json"


def test_what_is_saved_is_found(place):
    assert profiles.find_profile("digits") == (None, None)
    assert profiles.save_profiles([profile()]) == place
    assert profiles.find_profile("digits") == (profile(), None)
    assert profiles.find_profile("digits-tiny") == (None, None)
    profiles.save_profiles([profile("digits-tiny"), profile(threads=1)])
    assert profiles.find_profile("digits")[0].threads == 1
    profiles.save_profiles([profile()])
    assert profiles.find_profile("digits-tiny") == (profile("digits-tiny"), None)
    assert [path.name for path in place.parent.iterdir()] == ["profile.json"]


def test_only_shipped_models_are_saved(place):
    for wrong in (
        profile(model="own"),
        profile(model="own", sha256={}),
        profile(sha256={}),
        profile(sha256={"int8": "0" * 64}),
        profile(sha256={**profile().sha256, "fp16": "0" * 64}),
    ):
        with pytest.raises(ReportError) as error:
            profiles.save_profiles([profile("digits-tiny"), wrong])
        assert error.value.subject == wrong.model
    assert not place.exists()


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{", b"[]", b"[" * 100_000, b'{"format": 1}'])
def test_a_damaged_file_is_ignored_and_replaced(place, data):
    place.parent.mkdir()
    place.write_bytes(data)
    assert_ignored(place)
    profiles.save_profiles([profile()])
    assert profiles.find_profile("digits")[0] == profile()


def test_a_file_that_cannot_be_read_is_not_replaced(place, monkeypatch):
    profiles.save_profiles([profile("digits-tiny")])

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr("digitkit.models.profiles.read_bounded", refuse)
        with pytest.raises(OutputError, match="Permission denied"):
            profiles.save_profiles([profile()])
        assert_ignored(place)
    assert profiles.find_profile("digits-tiny")[0] is not None


def homeless(monkeypatch):
    for name in ("DIGITKIT_PROFILE", "XDG_CONFIG_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_a_user_without_a_home(monkeypatch):
    """In a container, say, that runs under a number."""
    homeless(monkeypatch)
    assert profiles.find_profile("digits") == (None, None)
    with pytest.raises(OutputError, match="XDG_CONFIG_HOME"):
        profiles.save_profiles([profile()])


@pytest.mark.parametrize("path", ["x" * 5000, "."])
def test_a_file_that_cannot_be(monkeypatch, path):
    """A name that is too long is refused when it is first looked at."""
    monkeypatch.setenv("DIGITKIT_PROFILE", path)
    assert profiles.find_profile("digits") == (None, None)
    with pytest.raises(OutputError):
        profiles.save_profiles([profile()])


# --- what no longer fits ---------------------------------------------------------------------


STALE = {
    "model file": {"sha256": {"int8": "0" * 64, "fp32": "0" * 64}},
    "ONNX Runtime": {"onnxruntime": "1.0.0"},
    "processor": {"cpu": "Z80"},
}


def write(place: Path, values: object) -> None:
    place.parent.mkdir(exist_ok=True)
    models = {"format": profiles.PROFILE_FORMAT, "models": {"digits": values}}
    place.write_text(json.dumps(models))


@pytest.mark.parametrize("what", STALE)
def test_a_profile_that_no_longer_fits(place, what):
    write(place, asdict(profile(**STALE[what])))
    notice = assert_ignored(place)
    assert what in notice.problem
    assert "digitkit bench --recommend --save" in notice.hint


def test_a_profile_with_more_threads_than_cores(place, monkeypatch):
    write(place, asdict(profile(threads=999)))
    assert str(usable_cores()) in assert_ignored(place).problem
    monkeypatch.setattr("digitkit.system.machine.usable_cores", lambda: 999)
    assert profiles.find_profile("digits") == (profile(threads=999), None)


def test_what_does_not_matter(place):
    """The file of the other precision may change; a newer version may know more."""
    hashes = {"int8": "0", "fp32": profile().sha256["fp32"]}
    write(place, asdict(profile(sha256=hashes)) | {"more": 1})
    assert profiles.find_profile("digits") == (profile(sha256=hashes), None)
    for models in ({}, [], None, {"digits": None}):
        place.write_text(json.dumps({"format": profiles.PROFILE_FORMAT, "models": models}))
        assert profiles.find_profile("digits") == (None, None)


DAMAGED = [
    *([], "x", 5, {}, {"threads": 2}),
    *({"threads": value} for value in (0, -1, "2", 1.5, None, True)),
    *({"batch": value} for value in (0, "8", [])),
    *({"precision": value} for value in ("auto", "", None, [], {})),
    *({"sha256": value} for value in (None, [], "x", {})),
    {"precision": "x", "sha256": {"x": None}},
]


@pytest.mark.parametrize("values", DAMAGED)
def test_damaged_values(place, values):
    if isinstance(values, dict) and values not in ({}, {"threads": 2}):
        values = asdict(profile()) | values
    write(place, values)
    assert_ignored(place)


# --- digitkit infer --------------------------------------------------------------------------


INT8, FP32 = "digits-int8.onnx", "digits-fp32.onnx"


@pytest.mark.parametrize(
    ("options", "file", "threads", "batch"),
    [
        ((), FP32, 2, 3),
        (("--threads", 1), FP32, 1, 3),  # what is asked for takes precedence
        (("--precision", "int8"), INT8, 1, None),
        (("--model", "digits-tiny"), "digits-tiny-int8.onnx", 1, None),
        (("--model", "digits-int8"), INT8, 1, None),
        (("--model", models_folder() / INT8), INT8, 1, None),
    ],
)
def test_infer_uses_it(place, loaded, digit_file, options, file, threads, batch):
    profiles.save_profiles([profile(threads=2, batch=3)])
    result = infer(digit_file(7), *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert ": 7 (" in result.stdout
    (made,) = loaded
    assert (made["file"], made["threads"], made["batch"]) == (file, threads, batch)


@pytest.mark.parametrize("what", STALE)
def test_infer_ignores_a_stale_one(place, loaded, digit_file, what):
    write(place, asdict(profile(**STALE[what])))
    result = infer(digit_file(7))
    assert result.exit_code == 0
    assert ": 7 (" in result.stdout
    (line,) = result.stderr.splitlines()
    assert what in line
    assert loaded[0]["file"] == "digits-int8.onnx"
    assert infer(digit_file(7), "--precision", "int8").stderr == ""  # it is not needed


def test_infer_without_a_home(monkeypatch, digit_file):
    path = digit_file(7)
    homeless(monkeypatch)
    result = infer(path)
    assert (result.exit_code, result.stderr) == (0, "")
