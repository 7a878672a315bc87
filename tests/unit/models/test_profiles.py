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
    assert [path.name for path in place.parent.iterdir()] == ["profile.json"]


def test_several_models_are_kept(place):
    profiles.save_profiles([profile(), profile("digits-tiny")])
    profiles.save_profiles([profile(threads=1)])
    assert profiles.find_profile("digits")[0].threads == 1
    assert profiles.find_profile("digits-tiny")[0].threads == 2


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


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "x"}', "[" * 100_000])
def test_a_damaged_file_is_replaced(place, text):
    place.parent.mkdir()
    place.write_text(text)
    profiles.save_profiles([profile()])
    assert profiles.find_profile("digits")[0] == profile()


def test_a_place_that_cannot_be_written(place):
    place.mkdir(parents=True)
    with pytest.raises(OutputError):
        profiles.save_profiles([profile()])


def test_a_file_that_cannot_be_read_is_not_replaced(place, monkeypatch):
    profiles.save_profiles([profile("digits-tiny")])

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refuse)
        with pytest.raises(OutputError, match="Permission denied"):
            profiles.save_profiles([profile()])
        found, notice = profiles.find_profile("digits")
    assert found is None
    assert notice.subject == str(place)
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


def test_a_place_that_may_not_be_looked_at(monkeypatch):
    """Its name is too long for any file, which is what the system says at the first look."""
    monkeypatch.setenv("DIGITKIT_PROFILE", "x" * 5000)
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
    found, notice = profiles.find_profile("digits")
    assert found is None
    assert notice.subject == str(place)
    assert what in notice.problem
    assert "digitkit bench --recommend --save" in notice.hint


def test_a_profile_with_more_threads_than_cores(place, monkeypatch):
    write(place, asdict(profile(threads=999)))
    found, notice = profiles.find_profile("digits")
    assert found is None
    assert str(usable_cores()) in notice.problem
    monkeypatch.setattr("digitkit.system.machine.usable_cores", lambda: 999)
    found, notice = profiles.find_profile("digits")
    assert found is not None
    assert (found.threads, notice) == (999, None)


def test_the_other_precisions_file_may_change(place):
    write(place, asdict(profile(sha256={"int8": "0", "fp32": profile().sha256["fp32"]})))
    assert profiles.find_profile("digits")[1] is None


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
    found, notice = profiles.find_profile("digits")
    assert found is None
    assert notice.subject == str(place)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"{", b"[]", b"[" * 100_000, b'{"format": 1}'])
def test_a_damaged_file_is_ignored(place, data):
    place.parent.mkdir()
    place.write_bytes(data)
    found, notice = profiles.find_profile("digits")
    assert found is None
    assert notice.subject == str(place)


def test_a_newer_versions_profile_is_used(place):
    write(place, asdict(profile()) | {"more": 1})
    assert profiles.find_profile("digits") == (profile(), None)


def test_a_file_without_models(place):
    place.parent.mkdir()
    for models in ({}, [], None, {"digits": None}):
        place.write_text(json.dumps({"format": profiles.PROFILE_FORMAT, "models": models}))
        assert profiles.find_profile("digits") == (None, None)


# --- digitkit infer --------------------------------------------------------------------------


def test_infer_uses_it(place, loaded, digit_file):
    profiles.save_profiles([profile(threads=2, batch=3)])
    result = infer(digit_file(7))
    assert (result.exit_code, result.stderr) == (0, "")
    assert ": 7 (" in result.stdout
    (made,) = loaded
    assert made["file"] == "digits-fp32.onnx"
    assert (made["threads"], made["batch"]) == (2, 3)


def test_infer_of_another_model_does_not(place, loaded, digit_file):
    profiles.save_profiles([profile()])
    shipped = models_folder() / "digits-int8.onnx"
    for model in ("digits-tiny", "digits-int8", shipped):
        assert infer(digit_file(7), "--model", model).stderr == ""
    assert [made["batch"] for made in loaded] == [None] * 3
    assert [made["file"] for made in loaded] == ["digits-tiny-int8.onnx", *["digits-int8.onnx"] * 2]


def test_what_is_asked_for_goes_first(place, loaded, digit_file):
    profiles.save_profiles([profile(threads=2)])
    infer(digit_file(7), "--threads", 1)
    infer(digit_file(7), "--precision", "int8")
    assert [(m["file"], m["threads"]) for m in loaded] == [
        *(("digits-fp32.onnx", 1), ("digits-int8.onnx", 1)),
    ]


@pytest.mark.parametrize("what", STALE)
def test_infer_ignores_a_stale_one(place, loaded, digit_file, what):
    write(place, asdict(profile(**STALE[what])))
    result = infer(digit_file(7))
    assert result.exit_code == 0
    assert ": 7 (" in result.stdout
    (line,) = result.stderr.splitlines()
    assert what in line
    assert loaded[0]["file"] == "digits-int8.onnx"
    assert infer(digit_file(7), "--precision", "int8").stderr == ""  # it is not asked


def test_infer_with_a_damaged_one(place, loaded, digit_file):
    write(place, asdict(profile()) | {"threads": 0})
    result = infer(digit_file(7))
    assert (result.exit_code, len(result.stderr.splitlines())) == (0, 1)
    assert loaded[0]["threads"] == 1


def test_infer_without_a_home(monkeypatch, digit_file):
    path = digit_file(7)
    homeless(monkeypatch)
    result = infer(path)
    assert (result.exit_code, result.stderr) == (0, "")
