"""``digitkit bundle``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from digitkit.cli import show
from digitkit.cli.options import complete_model

EXAMPLES = """\
[bold]Examples[/]

digitkit bundle --out dist/digitkit-pi.tar.gz

digitkit bundle --python 3.13 --model mine.onnx

digitkit bundle --wheelhouse wheels/

digitkit bundle --web — the service has the page and the API of digitkit serve

Then, on the device: tar xf digitkit-pi.tar.gz, cd into it, ./install.sh
"""


def command(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")] = Path(
        "dist/digitkit-pi.tar.gz"
    ),
    pythons: Annotated[
        str,
        typer.Option(
            "--python",
            metavar="VERSIONS",
            help="The devices' versions of Python, separated by commas; Raspberry Pi OS Bookworm "
            "has 3.11, Trixie 3.13.",
        ),
    ] = "3.11,3.13",
    platform: Annotated[
        str, typer.Option(metavar="NAME", help="linux-arm64 or linux-x64.")
    ] = "linux-arm64",
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="The model that the service reads with: the name of a shipped one, or an .onnx "
            "file, which is added to the bundle. The shipped models are always included.",
            autocompletion=complete_model,
        ),
    ] = "digits",
    wheel: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="digitkit's own wheel; by default it is built from the checkout, or packed from "
            "the installation.",
        ),
    ] = None,
    wheelhouse: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Take all other wheels, including pip's, from this folder and download nothing.",
        ),
    ] = None,
    web: Annotated[
        bool,
        typer.Option(
            "--web",
            help="Let the service be digitkit serve, with the page and the API at port 8080, "
            "instead of digitkit infer; the installer makes a token for it. 1 MB more.",
        ),
    ] = False,
) -> None:
    """Build one file that installs digitkit on a device without a network.

    It contains digitkit, the wheels that it needs for the device's platform and Python, the models,
    an installer that tests the installation, a service that reads a camera from boot on, a sample
    page, MNIST's test set, checksums and a bill of materials. The wheels are fetched by pip with
    your settings for it. The same inputs give the same bytes.
    """
    from digitkit.device.bundle.build import build_bundle
    from digitkit.device.bundle.bundle_config import BundleConfig
    from digitkit.system.tables import Table

    versions = tuple(dict.fromkeys(name.strip() for name in pythons.split(",") if name.strip()))
    config = BundleConfig(out, versions, platform, model, wheel, wheelhouse, web)
    with show.progress() as report:
        bundle = build_bundle(
            config,
            progress=report,
            log=lambda line: show.print_line(line, error=True),
        )
    rows = tuple((part.name, f"{part.size / 1e6:.2f}") for part in bundle.parts)
    show.print_table(Table(("part", ">MB"), rows))
    show.print_line(f"{bundle.path}: {bundle.size / 1e6:.1f} MB, SHA-256 {bundle.sha256}")
    show.print_line(
        "next: copy it to the device, then: "
        f"tar xf {shlex.quote(bundle.path.name)} && cd {shlex.quote(bundle.folder)} && "
        "./install.sh",
        error=True,
    )
