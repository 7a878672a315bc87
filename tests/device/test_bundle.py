"""The device bundle: what is in it, that it is the same each time, and what cannot be made."""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.cli import one_error_line, run
from support.paths import ROOT
from support.wheels import digitkit_wheel, make_wheel, wheelhouse

from digitkit.datasets import mnist
from digitkit.device.bundle import build
from digitkit.device.bundle.build import BundleConfig, make_bundle
from digitkit.errors import (
    BundleError,
    DatasetError,
    InputNotFoundError,
    MissingDependencyError,
    OutputError,
)

PYTHONS = ("3.11", "3.13")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A configuration that needs no network: tiny wheels for two Pythons."""
    folder = tmp_path_factory.mktemp("inputs")
    house = wheelhouse(folder / "house", PYTHONS, "aarch64")
    make_wheel(house, "pip", "26.0")
    return BundleConfig(
        folder / "out.tar.gz", PYTHONS, wheel=digitkit_wheel(folder), wheelhouse=house
    )


@pytest.fixture(scope="module")
def made(inputs):
    return make_bundle(inputs)


@pytest.fixture(scope="module")
def content(made):
    """The bundle's files by their names within its folder."""
    with tarfile.open(made.path) as archive:
        return {
            member.name.removeprefix(f"{made.folder}/"): archive.extractfile(member).read()
            for member in archive
        }


def test_what_is_in_it(made, content):
    assert made.folder == "digitkit-0.1.0-linux-arm64"
    assert made.size == made.path.stat().st_size
    assert made.sha256 == hashlib.sha256(made.path.read_bytes()).hexdigest()
    wheels = {name for name in content if name.startswith("wheels/")}
    assert wheels == {
        "wheels/digitkit-0.1.0-py3-none-any.whl",
        "wheels/flatbuffers-25.1-py3-none-any.whl",
        "wheels/numpy-2.4.0-cp311-cp311-manylinux_2_27_aarch64.whl",
        "wheels/numpy-2.4.0-cp313-cp313-manylinux_2_27_aarch64.whl",
        "wheels/onnxruntime-1.30.0-cp311-cp311-manylinux_2_28_aarch64.whl",
        "wheels/onnxruntime-1.30.0-cp313-cp313-manylinux_2_28_aarch64.whl",
        "wheels/opencv_python_headless-4.12.0.88-cp37-abi3-manylinux2014_aarch64.whl",
        "wheels/pip-26.0-py3-none-any.whl",
    }
    assert set(content) - wheels == {
        "README.md", "SHA256SUMS", "bundle.conf", "digitkit.service", "digitkit.toml",
        "install.sh", "uninstall.sh", "models/MODEL_CARD.md", "models/digits-int8.onnx",
        "mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz",
        "requirements-3.11.txt", "requirements-3.13.txt", "sample/expected.txt",
        "sample/page.jpg", "sbom.cdx.json",
    }  # fmt: skip
    assert content["sample/expected.txt"].decode().splitlines() == ["1984", "2750", "6361"]
    assert len(gzip.decompress(content["mnist/t10k-images-idx3-ubyte.gz"])) == 16 + 10_000 * 784
    facts = dict(line.split("=", 1) for line in content["bundle.conf"].decode().splitlines())
    assert facts["machine"] == "aarch64"
    assert facts["pythons"] == "3.11 3.13"
    assert facts["glibc"] == "2.28"  # what the neediest wheel asks for
    assert b"@" not in content["README.md"]
    assert {part.name for part in made.parts} >= {"numpy", "digitkit", "models", "installer"}
    assert sum(part.size for part in made.parts) == sum(
        len(data) for name, data in content.items() if name != "SHA256SUMS"
    )


def test_checksums_are_of_all_files(content):
    lines = content["SHA256SUMS"].decode().splitlines()
    listed = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert listed == {
        name: hashlib.sha256(data).hexdigest()
        for name, data in content.items()
        if name != "SHA256SUMS"
    }


def test_requirements_are_of_one_python_each_with_hashes(content):
    for python in PYTHONS:
        lines = content[f"requirements-{python}.txt"].decode().splitlines()
        names = [line.split("==")[0] for line in lines]
        assert names == ["flatbuffers", "numpy", "onnxruntime", "opencv-python-headless"]
        tag = f"cp{python.replace('.', '')}"
        name = f"wheels/numpy-2.4.0-{tag}-{tag}-manylinux_2_27_aarch64.whl"
        digest = hashlib.sha256(content[name]).hexdigest()
        assert lines[1] == f"numpy==2.4.0 --hash=sha256:{digest}"


def test_bill_of_materials(content):
    bom = json.loads(content["sbom.cdx.json"])
    assert (bom["bomFormat"], bom["specVersion"], bom["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-.*", bom["serialNumber"])
    components = {component["bom-ref"]: component for component in bom["components"]}
    assert len(components) == len(bom["components"])
    for name, data in content.items():
        if name.startswith(("wheels/", "models/digits", "mnist/")):
            digest = hashlib.sha256(data).hexdigest()
            found = [
                component
                for component in [*components.values(), bom["metadata"]["component"]]
                if component["hashes"][0]["content"] == digest
            ]
            assert len(found) == 1, name
    by_name = {component["name"]: component for component in components.values()}
    assert by_name["onnxruntime"]["licenses"] == [{"license": {"name": "MIT License"}}]
    assert by_name["opencv-python-headless"]["licenses"] == [
        {"license": {"name": "Apache Software License"}}
    ]
    assert bom["metadata"]["component"]["licenses"] == [{"expression": "MIT"}]
    known = {*components, bom["metadata"]["component"]["bom-ref"]}
    needs = {entry["ref"]: entry["dependsOn"] for entry in bom["dependencies"]}
    assert {ref for refs in needs.values() for ref in refs} <= known
    assert any("opencv-python-headless" in ref for ref in needs["pkg:pypi/digitkit@0.1.0"])
    assert b"://" not in content["sbom.cdx.json"].replace(b"http://cyclonedx.org", b"")


def test_same_inputs_same_bytes(inputs, made, tmp_path):
    again = make_bundle(replace(inputs, out=tmp_path / "other-name.tar.gz"))
    assert again.path.read_bytes() == made.path.read_bytes()
    with tarfile.open(made.path) as archive:
        members = archive.getmembers()
    assert [m.name for m in members] == sorted(m.name for m in members)
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {
        (0, 0, "", "", 1577836800)
    }
    assert {m.name.rpartition("/")[2]: m.mode for m in members if m.mode != 0o644} == {
        "install.sh": 0o755,
        "uninstall.sh": 0o755,
    }
    assert made.path.read_bytes()[3:8] == b"\0\0\0\0\0"  # gzip: no file name, no time


def test_an_own_model_travels_along(inputs, shipped, tmp_path):
    mine = tmp_path / "mine.onnx"
    mine.write_bytes(shipped.read_bytes())
    made = make_bundle(replace(inputs, out=tmp_path / "b.tar.gz", model=str(mine)))
    with tarfile.open(made.path) as archive:
        files = {m.name.partition("/")[2]: archive.extractfile(m).read() for m in archive}
    assert files["models/own/mine.onnx"] == mine.read_bytes()
    assert b'model = "@ROOT@/current/models/own/mine.onnx"' in files["digitkit.toml"]
    assert b"model=@ROOT@/current/models/own/mine.onnx" in files["bundle.conf"]


def test_an_own_model_may_be_called_like_a_shipped_one(inputs, shipped, tmp_path):
    mine = tmp_path / "digits-int8.onnx"
    mine.write_bytes(shipped.read_bytes())
    made = make_bundle(replace(inputs, out=tmp_path / "b.tar.gz", model=str(mine)))
    with tarfile.open(made.path) as archive:
        names = [member.name.partition("/")[2] for member in archive]
        bom = json.load(archive.extractfile(f"{made.folder}/sbom.cdx.json"))
    assert len(set(names)) == len(names)
    assert {"models/digits-int8.onnx", "models/own/digits-int8.onnx"} < set(names)
    listed = {part["name"] for part in bom["components"]}
    assert {"digits-int8.onnx", "own/digits-int8.onnx"} < listed


@pytest.mark.parametrize(
    ("called", "becomes"),
    [('7 "b"|&é', "7-b-"), ("x" * 150, "x" * 60)],
    ids=["no words of TOML and the shell", "longer than tar takes"],
)
def test_an_own_models_name_fits(called, becomes, inputs, shipped, tmp_path):
    mine = tmp_path / f"{called}.onnx"
    mine.write_bytes(shipped.read_bytes())
    made = make_bundle(replace(inputs, out=tmp_path / "b.tar.gz", model=str(mine)))
    with tarfile.open(made.path) as archive:
        settings = archive.extractfile(f"{made.folder}/digitkit.toml").read().decode()
        assert f"{made.folder}/models/own/{becomes}.onnx" in archive.getnames()
    assert tomllib.loads(settings)["model"] == f"@ROOT@/current/models/own/{becomes}.onnx"


def test_a_shipped_model_by_its_path_goes_by_its_name(shipped, tmp_path, monkeypatch):
    (tmp_path / "mine.onnx").symlink_to(shipped)
    monkeypatch.chdir(shipped.parent)
    for model in (str(shipped), shipped.name, str(tmp_path / "mine.onnx")):
        of = build._Model.of(model)
        assert (of.setting, of.file) == (shipped.stem, None)


def test_it_says_first_what_it_takes(inputs, tmp_path):
    said, steps = [], []
    make_bundle(
        replace(inputs, out=tmp_path / "b.tar.gz"),
        say=lambda line: said.append((line, len(steps))),
        progress=lambda what, done, total: steps.append(what),
    )
    ((line, before),) = said
    assert before == 0
    assert "numpy>=1.26.0" in line
    assert "opencv-python-headless>=4.10.0.84" in line
    assert "linux-arm64" in line
    assert "3.11 and 3.13" in line
    assert "torch" not in line
    assert steps[-1] == "packing"
    assert "fetching for Python 3.13" in steps


def test_a_model_that_misreads_the_page_is_told(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr(build._Model, "of", lambda model: build._Model(model, None, "1\n2"))
    said = []
    made = make_bundle(replace(inputs, out=tmp_path / "b.tar.gz"), say=said.append)
    assert said[0].startswith("note: digits reads '1 2' on the sample page, where '1984 2750 6361'")
    with tarfile.open(made.path) as archive:
        expected = archive.extractfile(f"{made.folder}/sample/expected.txt").read()
    assert expected == b"1\n2\n"


def test_what_only_the_device_needs(inputs, tmp_path):
    """pip judges markers by the machine that it runs on; the device may be another."""
    house = wheelhouse(tmp_path / "house", ["3.11"], "aarch64")
    make_wheel(house, "pip", "26.0")
    make_wheel(
        house,
        "flatbuffers",
        "25.2",
        requires=[
            "only-arm; platform_machine == 'aarch64'",
            "only-x; platform_machine != 'aarch64'",
        ],
    )
    make_wheel(house, "only-arm")
    make_wheel(house, "only-x")
    config = replace(inputs, out=tmp_path / "b.tar.gz", pythons=("3.11",), wheelhouse=house)
    with tarfile.open(make_bundle(config).path) as archive:
        names = [name.rpartition("/")[2] for name in archive.getnames()]
    assert "only_arm-1.0-py3-none-any.whl" in names
    assert "only_x-1.0-py3-none-any.whl" not in names


# --- what cannot be made ---------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["linux-armv7l", "linux-armhf", "armv6l", "linux-arm", "i686"])
def test_32_bit_is_refused_with_the_way_out(inputs, platform):
    with pytest.raises(BundleError, match=r"ONNX Runtime.*64-bit Raspberry Pi OS.*linux-arm64"):
        make_bundle(replace(inputs, platform=platform))


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"platform": "windows"}, BundleError, "there are linux-arm64, linux-x64"),
        ({"pythons": ()}, BundleError, "no Python is named"),
        ({"pythons": ("3.11.2",)}, BundleError, "'3.11.2': is no version"),
        ({"pythons": ("3.10",)}, BundleError, "Python 3.10: digitkit 0.1.0 needs >=3.11"),
        ({"wheelhouse": Path("nowhere")}, InputNotFoundError, "nowhere: is no folder"),
        ({"wheel": Path("no.whl")}, InputNotFoundError, "no.whl: there is no such wheel"),
        ({"model": "digit"}, InputNotFoundError, "digit: is neither a shipped model"),
        ({"out": Path("/")}, OutputError, "/: is a folder"),
        ({"out": Path("/proc/b.tar.gz")}, OutputError, "/proc/b.tar.gz: cannot be written"),
    ],
)
def test_what_is_wrong_is_told(inputs, change, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        make_bundle(replace(inputs, **change))


def test_missing_wheels_are_named(inputs):
    with pytest.raises(BundleError) as caught:
        make_bundle(replace(inputs, pythons=("3.12", "3.11", "3.14")))
    text = str(caught.value)
    assert text.startswith("wheels for linux-arm64 are not all in ")
    for python in ("3.12", "3.14"):
        assert f"for Python {python}: numpy>=1.26.0, onnxruntime!=1.21.0,>=1.20.1;" in text
    assert "3.11" not in text
    assert "opencv" not in text  # its one wheel fits each Python


def test_without_a_network(inputs, tmp_path, monkeypatch):
    """It is no missing wheel, and is not asked for again, package by package."""
    (tmp_path / "pip.py").write_text(
        "import pathlib, sys\n"
        f"with open({str(tmp_path / 'calls')!r}, 'a') as calls:\n"
        "    calls.write('.')\n"
        "print('WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by '\n"
        "      \"'NewConnectionError('<x>: Failed to establish a new connection')': /numpy/\")\n"
        "print('ERROR: No matching distribution found for numpy')\n"
        "sys.exit(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(BundleError, match="pip does not reach its index; see whether this machine"):
        make_bundle(replace(inputs, wheelhouse=None, out=tmp_path / "b.tar.gz"))
    assert (tmp_path / "calls").read_text() == "."


def test_a_network_that_falters_is_there():
    """What pip then lacks is not to be had."""
    line = "Retrying (Retry(total={}, connect=None)) after connection broken by 'ProxyError('x')'"
    assert not build._NO_NETWORK.search(line.format(4))
    assert build._NO_NETWORK.search(line.format(0))


def test_a_missing_need_of_a_need(inputs, tmp_path, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # pip's lines are read, whatever it is asked for
    house = wheelhouse(tmp_path / "house", ["3.11"], "aarch64")
    make_wheel(house, "pip", "26.0")
    (house / "flatbuffers-25.1-py3-none-any.whl").unlink()
    with pytest.raises(BundleError, match="flatbuffers"):
        make_bundle(replace(inputs, pythons=("3.11",), wheelhouse=house))


def test_no_wheels_of_digitkit(inputs, tmp_path):
    other = make_wheel(tmp_path, "other")
    with pytest.raises(BundleError, match="is no wheel of digitkit"):
        make_bundle(replace(inputs, wheel=other))
    broken = tmp_path / "digitkit-0.1.0-py3-none-any.whl"
    broken.write_bytes(inputs.wheel.read_bytes()[:500])
    with pytest.raises(BundleError, match="is no wheel: "):
        make_bundle(replace(inputs, wheel=broken))


def test_a_full_disk_under_pip(inputs, tmp_path, monkeypatch):
    """It is no missing wheel."""
    pip = tmp_path / "pip.py"
    pip.write_text(f"raise OSError({errno.ENOSPC}, 'No space left on device')\n")  # as pip does
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(BundleError, match="the disk is full; make room there, or name another"):
        make_bundle(replace(inputs, out=tmp_path / "b.tar.gz"))


def test_what_pip_leaves_lying_goes_away(inputs, tmp_path, monkeypatch):
    (tmp_path / "pip.py").write_text("import tempfile, sys\ntempfile.mkdtemp()\nsys.exit('no')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    with pytest.raises(BundleError):
        make_bundle(replace(inputs, out=tmp_path / "b.tar.gz"))
    assert list((tmp_path / "temporary").iterdir()) == []


def test_without_pip(inputs, monkeypatch):
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="ensurepip"):
        make_bundle(inputs)


def test_mnist_is_not_downloaded_when_offline(inputs, monkeypatch):

    monkeypatch.setattr(mnist, "find_mnist", lambda split: None)
    with pytest.raises(DatasetError, match="DIGITKIT_MNIST"):
        make_bundle(inputs)


def test_an_earlier_bundle_has_all_that_a_new_one_needs(
    inputs, made, content, tmp_path, monkeypatch
):

    for name, data in content.items():
        if name.startswith(("wheels/", "mnist/")):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(mnist, "find_mnist", lambda split: None)
    again = make_bundle(
        replace(inputs, wheelhouse=tmp_path / "wheels", out=tmp_path / "again.tar.gz")
    )
    assert again.sha256 == made.sha256


def test_an_indexs_address_is_not_shown(monkeypatch, tmp_path):
    fake = tmp_path / "pip.py"
    fake.write_text(
        "print('ERROR: Could not fetch URL https://me:geheim@index.example/simple/: no')\n"
        "raise SystemExit(1)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert build._pip([], tmp_path) == ["Could not fetch URL … no"]


def test_an_incomplete_bundle_is_not_left(inputs, tmp_path, monkeypatch):
    def broken(self, *args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", broken)
    with pytest.raises(OutputError, match="No space left"):
        make_bundle(replace(inputs, out=tmp_path / "b.tar.gz"))
    assert list(tmp_path.iterdir()) == []


# --- digitkit's own wheel --------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    pytest.importorskip("hatchling")
    return build._built(ROOT, tmp_path_factory.mktemp("built"))


def test_a_wheel_of_the_checkout(built, tmp_path):
    again = build._built(ROOT, tmp_path)
    assert again.read_bytes() == built.read_bytes()
    with zipfile.ZipFile(built) as archive:
        names = set(archive.namelist())
    device = {path.name for path in (ROOT / "digitkit/device/files").iterdir()}
    assert device == {
        "README.md", "digitkit.service", "digitkit.toml", "install.sh",
        "uninstall.sh",
    }  # fmt: skip
    assert {f"digitkit/device/files/{name}" for name in device} <= names


def test_a_wheel_of_an_installation(built, tmp_path):
    """Packed again, an installed digitkit is a wheel that pip installs, with the same files."""
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", str(site), str(built)], check=True)
    code = (
        "from pathlib import Path; from digitkit.device.bundle import build; "
        f"print(build._own_wheel(Path({str(tmp_path)!r})))"
    )
    env = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, cwd=tmp_path, check=True, capture_output=True
    )
    packed = Path(done.stdout.decode().strip())
    subprocess.run([*install, "--target", str(tmp_path / "second"), str(packed)], check=True)

    def files(wheel: Path) -> dict[str, bytes]:
        with zipfile.ZipFile(wheel) as archive:
            return {n: archive.read(n) for n in archive.namelist() if not n.endswith("RECORD")}

    assert files(packed) == files(built)


def test_a_damaged_installation(monkeypatch, tmp_path):
    class Installed:
        version = "0.1.0"

        def __init__(self, *files: str) -> None:
            self.files = [build.Path(file) for file in files]

        def locate_file(self, file: Path) -> Path:
            return tmp_path / file

    (tmp_path / "digitkit.pth").write_text("/somewhere")
    monkeypatch.setattr(build, "distribution", lambda name: Installed("digitkit.pth"))
    with pytest.raises(BundleError, match="cannot be packed again"):
        build._repacked(tmp_path / "a")
    monkeypatch.setattr(build, "distribution", lambda name: Installed("digitkit/gone.py"))
    with pytest.raises(BundleError, match=r"digitkit/gone\.py: .*No such file"):
        build._repacked(tmp_path / "b")


def test_a_checkout_without_hatchling(monkeypatch, tmp_path):
    monkeypatch.setattr(build, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install hatchling"):
        build._built(ROOT, tmp_path)


# --- the command -----------------------------------------------------------------------------


def test_the_command(inputs, tmp_path):
    out = tmp_path / "dist/pi.tar.gz"
    result = run(
        *("bundle", "--out", out, "--python", "3.11, 3.13", "--wheel", inputs.wheel),
        *("--wheelhouse", inputs.wheelhouse),
    )
    assert result.exit_code == 0, result.output
    assert "onnxruntime" in result.stdout
    assert f"{out}: " in result.stdout
    assert hashlib.sha256(out.read_bytes()).hexdigest() in result.stdout
    assert result.stderr.startswith("taking from ")
    assert "cd digitkit-0.1.0-linux-arm64 && ./install.sh" in result.stderr


def test_the_commands_mistakes():
    line = one_error_line(run("bundle", "--platform", "linux-armv7l"), 2)
    assert line.startswith("digitkit: linux-armv7l: has no wheels of ONNX Runtime")
