"""``digitkit doctor``."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show

if TYPE_CHECKING:
    from digitkit.device.doctor.diagnosis import Check, Diagnosis

EXAMPLES = """\
[bold]Examples[/]

digitkit doctor

digitkit doctor --camera 0 — this camera must work

digitkit doctor --no-camera --json

digitkit doctor --model own.onnx
"""

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}
_NAME_WIDTH, _STATE_WIDTH = 14, 9


def command(
    model: Annotated[
        str,
        typer.Option(metavar="NAME|FILE", help="A shipped model's name, or an .onnx file."),
    ] = "digits",
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="N|URL|picamera2",
            help="This camera or stream must work; by default those that are found are tried, and "
            "none is needed.",
            show_default=False,
        ),
    ] = None,
    no_camera: Annotated[bool, typer.Option("--no-camera", help="Leave cameras alone.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Find what would keep digits from being read on this machine, and say what to do.

    Looks at the system, the packages, the model (with real readings), cameras, memory, disk,
    temperature and power. Exit codes: 0 if digitkit infer can run, warnings or not; 1 if something
    would stop it; 2 for a wrong option.
    """
    if no_camera and camera is not None:
        raise typer.BadParameter("goes without --no-camera", param_hint="--camera")
    if camera is not None and not _is_camera(camera):
        raise typer.BadParameter(
            f"{camera!r} is no camera; there are numbers (0), devices (/dev/video0), URLs and "
            "picamera2",
            param_hint="--camera",
        )
    from digitkit.device.doctor import diagnosis

    with show.progress(still=True) as report:
        found = diagnosis.diagnose(model, camera=camera, cameras=not no_camera, progress=report)
    if json_:
        print(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        _print(found)
    if found.problems:
        raise typer.Exit(1)


def _is_camera(text: str) -> bool:
    number = text.isascii() and text.isdigit()
    return number or text == "picamera2" or text.startswith("/dev/") or "://" in text


def _print(found: Diagnosis) -> None:
    from rich.text import Text

    console = show.out()
    on = f" on {found.board}" if found.board else ""
    console.print(Text(f"digitkit {found.digitkit}{on}"), soft_wrap=True)
    group = ""
    for check in found.checks:
        if check.group != group:
            group = check.group
            console.print(Text(f"\n{group}", style="bold"))
        _print_check(check)
    problems, warnings = len(found.problems), len(found.warnings)
    verdict, state = ("would not run", "problem") if problems else ("can run", "ok")
    end = Text.assemble(
        (f"digitkit infer {verdict}", _COLOURS[state]),
        f"; problems: {problems}, warnings: {warnings}",
    )
    console.print()
    console.print(end, soft_wrap=True)


def _print_check(check: Check) -> None:
    from rich.text import Text

    console = show.out()
    indent = 2 + _NAME_WIDTH + _STATE_WIDTH
    lines = textwrap.wrap(
        check.found,
        max(console.width - indent, 40),
        break_long_words=False,
        break_on_hyphens=False,
    )
    text = Text(f"  {check.name:<{_NAME_WIDTH}}")
    text.append(f"{check.state:<{_STATE_WIDTH}}", style=_COLOURS[check.state])
    text.append(f"\n{' ' * indent}".join(lines), style="dim" if check.state == "skipped" else "")
    console.print(text, soft_wrap=True)
    if check.remedy is not None:
        # Not wrapped, so that it can be copied.
        remedy = Text(f"  {'':<{_NAME_WIDTH}}{'do:':<{_STATE_WIDTH}}")
        console.print(remedy.append(check.remedy, style="bold"), soft_wrap=True)
