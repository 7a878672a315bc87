"""The device bundle: its contents, that the same inputs give the same bytes, and its errors."""

import errno
import gzip
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from support.cli import one_error_line, run
from support.paths import ROOT
from support.wheels import make_wheel, offline_config, read_bundle

pytest.importorskip("cyclonedx", reason="needs the extra bundle")

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator as JsonValidator

from digitkit import errors
from digitkit.datasets import mnist
from digitkit.device.bundle import own_wheel, pip
from digitkit.device.bundle.build import build_bundle
from digitkit.device.bundle.bundle_config import BundleConfig
from digitkit.device.bundle.contents import ServiceModel
from digitkit.images import samples

PYTHONS = ("3.11", "3.13")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return offline_config(tmp_path_factory.mktemp("inputs"), PYTHONS)


@pytest.fixture(scope="module")
def log():
    """The lines for people, and the steps, of `made`."""
    return [], []


@pytest.fixture(scope="module")
def made(config, log):
    lines, steps = log
    return build_bundle(
        config,
        log=lambda line: lines.append((line, len(steps))),
        progress=lambda what, done, total: steps.append(what),
    )


@pytest.fixture(scope="module")
def content(made):
    return read_bundle(made.path)


@pytest.fixture
def fast(config, tmp_path):
    """As `config`, for one Python, with a file of its own."""
    return replace(config, out=tmp_path / "b.tar.gz", pythons=("3.11",))


@pytest.fixture
def fake_pip(tmp_path, monkeypatch):
    """Puts a program in pip's place."""

    def write(text: str) -> None:
        (tmp_path / "pip.py").write_text(text)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return write


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def refuse(config: BundleConfig, kind: type[Exception] = errors.BundleError):
    """The error that a configuration leads to."""
    with pytest.raises(kind) as caught:
        build_bundle(config)
    return caught.value


def test_contents(made, content):
    assert made.folder == "digitkit-0.1.0-linux-arm64"
    assert made.size == made.path.stat().st_size
    assert made.sha256 == sha256(made.path.read_bytes())
    binary = ("msgspec-0.22.0-{0}-{0}-manylinux2014", "numpy-2.4.0-{0}-{0}-manylinux_2_27")
    binary += ("onnxruntime-1.30.0-{0}-{0}-manylinux_2_28",)
    assert set(content) == {
        *(f"wheels/{w.format(abi)}_aarch64.whl" for w in binary for abi in ("cp311", "cp313")),
        "wheels/opencv_python_headless-4.12.0.88-cp37-abi3-manylinux2014_aarch64.whl",
        "wheels/digitkit-0.1.0-py3-none-any.whl", "wheels/flatbuffers-25.1-py3-none-any.whl",
        "wheels/pip-26.0-py3-none-any.whl",
        "README.md", "SHA256SUMS", "bundle.conf", "digitkit.service", "digitkit.toml",
        "install.sh", "uninstall.sh", "models/MODEL_CARD.md", "models/digits-int8.onnx",
        "mnist/t10k-images-idx3-ubyte.gz", "mnist/t10k-labels-idx1-ubyte.gz",
        "requirements-3.11.txt", "requirements-3.13.txt", "sample/expected.txt",
        "sample/page.jpg", "sbom.cdx.json",
    }  # fmt: skip
    assert content["sample/expected.txt"] == b"1984\n2750\n6361\n"
    assert len(gzip.decompress(content["mnist/t10k-images-idx3-ubyte.gz"])) == 16 + 10_000 * 784
    settings = dict(line.split("=", 1) for line in content["bundle.conf"].decode().splitlines())
    assert (settings["machine"], settings["pythons"]) == ("aarch64", "3.11 3.13")
    assert settings["glibc"] == "2.28"  # the newest that a wheel requires
    assert b"@" not in content["README.md"]
    assert {part.name for part in made.parts} >= {"numpy", "digitkit", "models", "installer"}
    listed = {name: data for name, data in content.items() if name != "SHA256SUMS"}
    assert sum(part.size for part in made.parts) == sum(map(len, listed.values()))
    sums = [f"{sha256(data)}  {name}" for name, data in listed.items()]
    assert content["SHA256SUMS"].decode().splitlines() == sums


@pytest.mark.parametrize("python", PYTHONS)
def test_requirements_pin_versions_and_hashes(content, python):
    lines = content[f"requirements-{python}.txt"].decode().splitlines()
    names = [line.split("==")[0] for line in lines]
    assert names == ["flatbuffers", "msgspec", "numpy", "onnxruntime", "opencv-python-headless"]
    abi = f"cp{python.replace('.', '')}"
    wheel = f"wheels/numpy-2.4.0-{abi}-{abi}-manylinux_2_27_aarch64.whl"
    assert lines[2] == f"numpy==2.4.0 --hash=sha256:{sha256(content[wheel])}"


def test_with_the_page_and_the_api(fast, content):
    assert "digitkit infer --config" in content["digitkit.service"].decode()
    assert "serve" not in tomllib.loads(content["digitkit.toml"].decode())
    web = read_bundle(build_bundle(replace(fast, web=True)).path)
    more = {name for name in web if name not in content}
    assert more == {
        "wheels/uvicorn-0.54.0-py3-none-any.whl",
        "wheels/h11-0.16.0-py3-none-any.whl",
    }
    assert b"uvicorn==0.54.0 --hash" in web["requirements-3.11.txt"]
    assert b"web=1" in web["bundle.conf"]
    assert "digitkit serve --config" in web["digitkit.service"].decode()
    settings = tomllib.loads(web["digitkit.toml"].decode())
    assert settings["serve"] == {"host": "0.0.0.0", "port": 8080, "token_file": "digitkit-token"}
    names = {one["name"] for one in json.loads(web["sbom.cdx.json"])["components"]}
    assert {"uvicorn", "h11"} <= names


def test_bill_of_materials(content):
    bom = json.loads(content["sbom.cdx.json"])
    own = bom["metadata"]["component"]
    components = {component["bom-ref"]: component for component in [*bom["components"], own]}
    assert len(components) == len(bom["components"]) + 1
    assert sorted(component["hashes"][0]["content"] for component in components.values()) == sorted(
        sha256(data)
        for name, data in content.items()
        if name.startswith(("wheels/", "models/digits", "mnist/"))
    )
    licenses = {each["name"]: each.get("licenses") for each in components.values()}
    assert licenses["onnxruntime"] == [{"license": {"name": "MIT License"}}]
    assert licenses["opencv-python-headless"] == [{"license": {"name": "Apache Software License"}}]
    assert licenses["digitkit"] == [{"expression": "MIT"}]
    assert licenses["t10k-images-idx3-ubyte.gz"] == [{"license": {"id": "CC-BY-SA-3.0"}}]
    needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bom["dependencies"]}
    assert {ref for refs in needs.values() for ref in refs} <= set(components)
    assert any("opencv-python-headless" in ref for ref in needs["pkg:pypi/digitkit@0.1.0"])
    assert b"://" not in content["sbom.cdx.json"].replace(b"http://cyclonedx.org", b"")
    pytest.importorskip("jsonschema")
    validator = JsonValidator(SchemaVersion.V1_6)
    assert validator.validate_str(content["sbom.cdx.json"].decode()) is None


def test_same_inputs_same_bytes(config, made, content, tmp_path, monkeypatch):
    """An earlier bundle contains all that a new one needs."""
    for name, data in content.items():
        if name.startswith(("wheels/", "mnist/")):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(data)
    monkeypatch.setattr(mnist, "find_mnist", lambda split: None)
    other = replace(config, wheelhouse=tmp_path / "wheels", out=tmp_path / "other.tar.gz")
    assert build_bundle(other).path.read_bytes() == made.path.read_bytes()
    with tarfile.open(made.path) as archive:
        members = archive.getmembers()
    assert [m.name for m in members] == sorted(m.name for m in members)
    owners = {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members}
    assert owners == {(0, 0, "", "", 1577836800)}
    modes = {m.name.rpartition("/")[2]: m.mode for m in members if m.mode != 0o644}
    assert modes == {"install.sh": 0o755, "uninstall.sh": 0o755}
    assert made.path.read_bytes()[3:8] == b"\0\0\0\0\0"  # gzip: no file name, no time


def test_downloads_are_announced(made, log):
    [(line, before)], steps = log
    assert before == 0
    for text in ("numpy>=1.26.0", "opencv-python-headless>=4.10.0.84", "linux-arm64", *PYTHONS):
        assert text in line
    assert "torch" not in line
    assert steps[-1] == "packing"
    assert "fetching for Python 3.13" in steps


@pytest.mark.parametrize(("name", "stem"), [
    ("mine", "mine"),
    pytest.param("digits-int8", "digits-int8", id="name of a shipped model"),
    pytest.param('7 "b"|&é', "7-b-", id="special characters of TOML and the shell"),
    pytest.param("x" * 150, "x" * 60, id="longer than tar allows"),
])  # fmt: skip
def test_a_custom_model_is_included(fast, shipped, tmp_path, name, stem):
    model = tmp_path / f"{name}.onnx"
    model.write_bytes(shipped.read_bytes())
    files = read_bundle(build_bundle(replace(fast, model=str(model))).path)
    assert files[f"models/own/{stem}.onnx"] == model.read_bytes()
    assert files["models/digits-int8.onnx"] == b"net"
    setting = f"@ROOT@/current/models/own/{stem}.onnx"
    assert tomllib.loads(files["digitkit.toml"].decode())["model"] == setting
    assert f"model={setting}\n" in files["bundle.conf"].decode()
    listed = {component["name"] for component in json.loads(files["sbom.cdx.json"])["components"]}
    assert {"digits-int8.onnx", f"own/{stem}.onnx"} < listed


def test_a_shipped_model_given_by_its_path_goes_by_its_name(shipped, tmp_path, monkeypatch):
    (tmp_path / "mine.onnx").symlink_to(shipped)
    monkeypatch.chdir(shipped.parent)
    for model in (str(shipped), shipped.name, str(tmp_path / "mine.onnx")):
        loaded = ServiceModel.load(model)
        assert (loaded.setting, loaded.file) == (shipped.stem, None)


def test_a_model_that_misreads_the_page_is_noted(fast, monkeypatch):
    monkeypatch.setattr(samples, "SAMPLE_PAGE_TEXT", "1\n2")
    lines = []
    made = build_bundle(fast, log=lines.append)
    note, _ = lines
    assert ("'1984 2750 6361'" in note, "'1 2'" in note) == (True, True)
    # The device must read what is read here.
    assert read_bundle(made.path)["sample/expected.txt"] == b"1984\n2750\n6361\n"


def test_markers_are_evaluated_for_the_device(fast, tmp_path):
    """pip evaluates them for the machine that it runs on."""
    house = shutil.copytree(fast.wheelhouse, tmp_path / "house")
    markers = ["only-arm; platform_machine == 'aarch64'", "only-x; platform_machine != 'aarch64'"]
    make_wheel(house, "flatbuffers", "25.2", requires=markers)
    make_wheel(house, "only-arm")
    make_wheel(house, "only-x")
    files = read_bundle(build_bundle(replace(fast, wheelhouse=house)).path)
    assert "wheels/only_arm-1.0-py3-none-any.whl" in files
    assert "wheels/only_x-1.0-py3-none-any.whl" not in files


def test_a_long_name_is_packed(fast, tmp_path):
    long = "x" * 110
    house = shutil.copytree(fast.wheelhouse, tmp_path / "house")
    make_wheel(house, "flatbuffers", "25.2", requires=[long])
    make_wheel(house, long)
    config = replace(fast, wheelhouse=house)
    made = build_bundle(config)
    wheel = f"wheels/{long}-1.0-py3-none-any.whl"
    assert wheel in read_bundle(made.path)
    listed = subprocess.run(["tar", "tf", made.path], capture_output=True, text=True, check=True)
    assert f"{made.folder}/{wheel}" in listed.stdout.splitlines()
    assert build_bundle(replace(config, out=tmp_path / "c.tar.gz")).sha256 == made.sha256


THIRTY_TWO_BIT = ("linux-armv7l", "linux-armhf", "armv6l", "linux-arm", "i686")


@pytest.mark.parametrize(("field", "value"), [
    *(("platform", platform) for platform in ("windows", *THIRTY_TWO_BIT)),
    *(("pythons", pythons) for pythons in ((), ("3.11.2",))),
    *(("out", Path(name)) for name in ("b.zip", "b.tar", "b")),
])  # fmt: skip
def test_invalid_configurations(field, value):
    with pytest.raises(errors.ConfigError) as caught:
        BundleConfig(**{"out": Path("b.tar.gz"), field: value})
    assert caught.value.field == field
    assert ("64-bit" in (caught.value.hint or "")) == (value in THIRTY_TWO_BIT)


@pytest.mark.parametrize(("change", "kind", "subject"), [
    ({"pythons": ("3.10",)}, errors.BundleError, "Python 3.10"),  # digitkit requires a newer one
    ({"wheelhouse": Path("nowhere")}, errors.InputNotFoundError, "nowhere"),
    ({"wheel": Path("no.whl")}, errors.InputNotFoundError, "no.whl"),
    ({"model": "digit"}, errors.InputNotFoundError, "digit"),
    ({"out": Path("/")}, errors.OutputError, "/"),
    ({"out": Path("/proc/b.tar.gz")}, errors.OutputError, "/proc/b.tar.gz"),
])  # fmt: skip
def test_unusable_inputs_are_named(config, change, kind, subject):
    assert refuse(replace(config, **change), kind).subject == subject


def test_wheels_that_are_not_digitkits(config, tmp_path):
    damaged = tmp_path / "digitkit-0.1.0-py3-none-any.whl"
    damaged.write_bytes(config.wheel.read_bytes()[:500])
    misnamed = shutil.copy(config.wheel, tmp_path / "digitkit.whl")
    for wheel in (make_wheel(tmp_path, "other"), damaged, misnamed):
        assert refuse(replace(config, wheel=wheel)).subject == str(wheel)


RETRY = (
    "WARNING: Retrying (Retry(total={}, connect=None)) after connection broken by "
    "'NewConnectionError('<x>: Failed to establish a new connection')': /numpy/"
)


@pytest.mark.parametrize(("retries_left", "calls"), [(0, 1), (4, 6)])
def test_a_missing_network_is_not_a_missing_wheel(fast, fake_pip, tmp_path, retries_left, calls):
    """After the last attempt to connect no package is tried by itself; an earlier one may pass."""
    fake_pip(
        f"print('.', end='', file=open({str(tmp_path / 'calls')!r}, 'a'))\n"
        f"print({RETRY.format(retries_left)!r})\n"
        "print('ERROR: No matching distribution found for numpy')\n"
        "raise SystemExit(1)\n"
    )
    error = refuse(replace(fast, wheelhouse=None))
    assert len((tmp_path / "calls").read_text()) == calls
    assert ("numpy" in str(error)) == (retries_left > 0)


def test_a_full_disk_under_pip_is_not_a_missing_wheel(fast, fake_pip, tmp_path, monkeypatch):
    full = f"raise OSError({errno.ENOSPC}, 'No space left on device')"  # as pip does
    fake_pip(f"import tempfile\ntempfile.mkdtemp()\n{full}\n")
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    assert "TMPDIR" in refuse(fast).hint
    assert list(temporary.iterdir()) == []  # pip's, too


def test_the_address_of_an_index_is_not_shown(fake_pip, tmp_path):
    message = "ERROR: Could not fetch URL https://me:geheim@index.example/simple/: no"
    fake_pip(f"print({message!r})\nraise SystemExit(1)\n")
    (line,) = pip.run_pip([], tmp_path)
    assert ("Could not fetch URL" in line, "geheim" in line) == (True, False)


@pytest.mark.parametrize("package", ["packaging", "cyclonedx"])
def test_without_the_extra(package, monkeypatch):
    for name in [*sys.modules]:
        if name.partition(".")[0] == package or name.startswith("digitkit.device.bundle."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    line = one_error_line(run("bundle"), 2)
    assert package in line
    assert errors.install_command("bundle") in line


def test_without_mnist_or_pip(config, monkeypatch):
    monkeypatch.setattr(mnist, "find_mnist", lambda split: None)  # it is not downloaded
    assert "DIGITKIT_MNIST" in refuse(config, errors.DatasetError).hint
    monkeypatch.setattr(pip, "find_spec", lambda name: None)
    refuse(config, errors.MissingDependencyError)


def test_an_incomplete_bundle_is_removed(fast, tmp_path, monkeypatch):
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    refuse(fast, errors.OutputError)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("offline", [True, False])
def test_a_checkout_is_built_in_isolation_unless_offline(offline, fake_pip, tmp_path):
    """Isolated, it needs no hatchling here; offline, it downloads nothing."""
    fake_pip(
        "import os, pathlib, sys\n"
        f"pathlib.Path({str(tmp_path / 'arguments')!r}).write_text(' '.join(sys.argv))\n"
        "assert os.environ['SOURCE_DATE_EPOCH']\n"
        "folder = pathlib.Path(sys.argv[sys.argv.index('--wheel-dir') + 1])\n"
        "folder.mkdir()\n"
        "(folder / 'digitkit-1-py3-none-any.whl').touch()\n"
    )
    if offline:
        pytest.importorskip("hatchling")
    assert own_wheel.make_own_wheel(tmp_path, offline=offline).is_file()
    arguments = (tmp_path / "arguments").read_text().split()
    for option in ("--no-build-isolation", "--no-index"):
        assert (option in arguments) == offline


def test_a_checkout_that_cannot_be_built(fake_pip, tmp_path, monkeypatch):
    fake_pip("raise SystemExit('broken')\n")
    with pytest.raises(errors.BundleError):
        own_wheel.build_checkout(ROOT, tmp_path)
    monkeypatch.setattr(own_wheel, "find_spec", lambda name: None)
    with pytest.raises(errors.MissingDependencyError):
        own_wheel.build_checkout(ROOT, tmp_path, offline=True)


@pytest.mark.parametrize("file", ["digitkit.pth", "digitkit/gone.py"])
def test_an_installation_that_cannot_be_packed(file, tmp_path, monkeypatch):
    (tmp_path / "digitkit.pth").write_text("/somewhere")
    installed = SimpleNamespace(files=[Path(file)], locate_file=lambda file: tmp_path / file)
    monkeypatch.setattr(own_wheel, "distribution", lambda name: installed)
    with pytest.raises(errors.BundleError) as caught:
        own_wheel.pack_installation(tmp_path)
    assert caught.value.subject == (file if "gone" in file else None)


def test_the_command(config, tmp_path):
    out = tmp_path / "dist/pi.tar.gz"
    result = run(
        *("bundle", "--out", out, "--python", "3.11, 3.13", "--wheel", config.wheel),
        *("--wheelhouse", config.wheelhouse),
    )
    assert result.exit_code == 0, result.output
    assert all(text in result.stdout for text in ("numpy", f"{out}: ", sha256(out.read_bytes())))
    assert str(config.wheelhouse) in result.stderr
    assert "cd digitkit-0.1.0-linux-arm64 && ./install.sh" in result.stderr
    for option, value in (("--platform", "linux-armv7l"), ("--python", "three")):
        result = run("bundle", option, value)
        assert result.exit_code == 2
        assert value in result.stderr
