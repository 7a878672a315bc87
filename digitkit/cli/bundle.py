"""``digitkit bundle``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digitkit.cli import show

EXAMPLES = """\
[bold]Examples[/]

digitkit bundle --out dist/digitkit-pi.tar.gz

digitkit bundle --python 3.13 --model mine.onnx

digitkit bundle --wheelhouse wheels/

Then, on the device: tar xf digitkit-pi.tar.gz, cd into it, ./install.sh
"""


def command(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the bundle goes.")] = Path(
        "dist/digitkit-pi.tar.gz"
    ),
    python: Annotated[
        str,
        typer.Option(
            metavar="VERSIONS",
            help="The devices' versions of Python, parted by commas; Raspberry Pi OS Bookworm has "
            "3.11, Trixie 3.13.",
        ),
    ] = "3.11,3.13",
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="linux-arm64 or linux-x64.")
    ] = "linux-arm64",
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="What the service reads with: a shipped model's name, or an .onnx file, which "
            "then travels along. The shipped ones always do.",
        ),
    ] = "digits",
    wheel: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="digitkit's own wheel; else it is built from the checkout, or packed from the "
            "installation.",
        ),
    ] = None,
    wheelhouse: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Take all other wheels, pip's among them, from this folder; nothing is "
            "downloaded then.",
        ),
    ] = None,
) -> None:
    """Make one file that installs digitkit on a device without a network.

    It holds digitkit, the wheels that it needs for the device's platform and Python, the models,
    an installer that proves itself, a service that reads a camera from boot on, a sample page,
    MNIST's test set, checksums and a bill of materials. The wheels are fetched with pip and its
    settings. The same inputs give the same bytes.
    """
    from digitkit.device.bundle.build import BundleConfig, make_bundle

    pythons = tuple(dict.fromkeys(part.strip() for part in python.split(",") if part.strip()))
    config = BundleConfig(out, pythons, platform, model, wheel, wheelhouse)
    with show.progress() as report:
        bundle = make_bundle(
            config,
            progress=report,
            say=lambda line: show.err().print(line, soft_wrap=True, markup=False),
        )
    table = show.table("part", ">MB")
    for part in bundle.parts:
        table.add_row(part.name, f"{part.size / 1e6:.2f}")
    show.out().print(table)
    print(f"{bundle.path}: {bundle.size / 1e6:.1f} MB, SHA-256 {bundle.sha256}")
    show.err().print(
        f"next: copy it to the device, then: tar xf {bundle.path.name} && cd {bundle.folder} && "
        "./install.sh",
        soft_wrap=True,
        markup=False,
    )
