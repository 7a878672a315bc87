"""Builds a device's bundle: one file that installs digitkit without a network.

The wheels come from pip, which resolves for the device's platform and Python and downloads exactly
that. Everything else is in this package. The same inputs give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from digitkit.device.bundle.archive import Bundle, Entry, pack
from digitkit.device.bundle.bundle_config import BundleConfig
from digitkit.device.bundle.contents import Contents, ServiceModel, list_entries, load_mnist_files
from digitkit.device.bundle.own_wheel import make_own_wheel
from digitkit.device.bundle.pip import check_pip
from digitkit.device.bundle.sbom import make_sbom
from digitkit.device.bundle.wheels import (
    MissingWheelsError,
    Wheel,
    device_requirements,
    fetch_wheels,
    marker_environment,
    read_wheel,
)
from digitkit.errors import BundleError, InputNotFoundError
from digitkit.images import samples
from digitkit.system import atomic
from digitkit.system.progress import Progress, no_progress
from digitkit.system.scratch import scratch_folder


def build_bundle(
    config: BundleConfig,
    *,
    progress: Progress = no_progress,
    log: Callable[[str], None] = lambda line: None,
) -> Bundle:
    """Build a device's bundle.

    Args:
        config: what to bundle.
        progress: called while wheels are fetched and packed.
        log: called with a line for people: what will be fetched, before it is.

    Raises:
        BundleError: a Python is not supported; a wheel is missing or broken.
        InputNotFoundError: the wheel, the wheelhouse or the model does not exist.
        MissingDependencyError: pip, or a package of the extra ``bundle``, is not installed.
        ModelError, DatasetError: the model, or MNIST's test set, cannot be read.
        OutputError: the file cannot be written.
    """
    _check_before_work(config)
    with scratch_folder("digitkit-bundle-") as work:
        wheel = config.wheel or make_own_wheel(work, offline=config.wheelhouse is not None)
        own = read_wheel(wheel)
        _check_own_wheel(own, config)
        model = ServiceModel.load(config.model)
        if model.text != samples.SAMPLE_PAGE_TEXT:
            read, written = (
                text.replace("\n", " ") for text in (model.text, samples.SAMPLE_PAGE_TEXT)
            )
            log(
                f"note: {config.model} reads {read!r} on the sample page, which shows {written!r}; "
                "on the device it must read the same"
            )
        log(_describe_downloads(config, own))
        mnist = load_mnist_files(config.wheelhouse, progress)
        wheels = _fetch_for_all_pythons(config, own, work, progress)
        contents = Contents(config, own, wheels, model, mnist)
        sbom = Entry("sbom.cdx.json", make_sbom(contents), "bill of materials")
        return pack(config.out, contents.folder, [*list_entries(contents), sbom], progress)


def _check_before_work(config: BundleConfig) -> None:
    """Find now what would fail after minutes of downloading."""
    if config.wheelhouse is not None and not config.wheelhouse.is_dir():
        raise InputNotFoundError(
            "is not a folder", subject=str(config.wheelhouse), hint="name a folder of wheels"
        )
    atomic.check_writable(config.out)
    check_pip()


def _check_own_wheel(own: Wheel, config: BundleConfig) -> None:
    if own.name != "digitkit" or "py3-none-any" not in map(str, own.tags):
        raise BundleError(
            "is not a digitkit wheel", subject=str(own.path), hint="omit --wheel to build one"
        )
    for python in config.pythons:
        if not own.requires_python.contains(f"{python}.99"):
            raise BundleError(
                f"digitkit {own.version} requires Python {own.requires_python}",
                subject=f"Python {python}",
            )


def _describe_downloads(config: BundleConfig, own: Wheel) -> str:
    from digitkit.datasets.mnist import find_mnist

    if config.wheelhouse is not None:
        verb, size = f"taking from {config.wheelhouse}", ""
    else:
        verb, size = "downloading with pip", "; about 100 MB, and 45 MB for each further Python"
        if find_mnist("test") is None:
            size += "; and MNIST from its mirrors, 11 MB"
    requirements = dict.fromkeys(
        str(requirement)
        for python in config.pythons
        for requirement in device_requirements(
            own, marker_environment(python, config.machine), config.extras
        )
    )
    pythons = " and ".join(config.pythons)
    return (
        f"{verb}, for {config.platform} and Python {pythons}: pip, {', '.join(requirements)}, "
        f"and their dependencies{size}"
    )


def _fetch_for_all_pythons(
    config: BundleConfig, own: Wheel, work: Path, progress: Progress
) -> dict[str, list[Wheel]]:
    """The wheels by Python; one error names what is missing for any of them."""
    wheels, missing = {}, []
    for python in config.pythons:
        try:
            wheels[python] = fetch_wheels(config, python, own, work / python, progress)
        except MissingWheelsError as error:
            missing.append(f"for Python {python}: {error}")
    if missing:
        place, remedy = "not available", "check whether pip finds them"
        if config.wheelhouse is not None:
            place, remedy = f"not in {config.wheelhouse}", "put them there"
        raise BundleError(
            f"wheels for {config.platform} are {place}: {'; '.join(missing)}",
            hint=f"{remedy}, or choose other versions with --python",
        )
    return wheels
