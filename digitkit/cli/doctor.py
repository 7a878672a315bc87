"""``digitkit doctor``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from digitkit.cli import show
from digitkit.cli.exit_codes import SOME_FAILED
from digitkit.cli.options import complete_model

if TYPE_CHECKING:
    from digitkit.device.doctor.checks import Check, Diagnosis

EXAMPLES = """\
[bold]Examples[/]

digitkit doctor

digitkit doctor --camera 0 — require this camera

digitkit doctor --no-camera --json

digitkit doctor --model own.onnx

digitkit doctor --service http://127.0.0.1:8080 — require that digitkit serve answers
"""

_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red", "skipped": "dim"}
_NAME_WIDTH, _STATE_WIDTH = 14, 9


def command(
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE",
            help="A shipped model's name, or an .onnx file.",
            autocompletion=complete_model,
        ),
    ] = "digits",
    camera: Annotated[
        str | None,
        typer.Option(
            metavar="N|URL|picamera2",
            help="Require this camera or stream; by default the first camera is tried, and none "
            "is required.",
            show_default=False,
        ),
    ] = None,
    no_camera: Annotated[bool, typer.Option("--no-camera", help="Do not use cameras.")] = False,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Require that digitkit serve answers here; by default the service of "
            "/etc/digitkit.toml is asked, if there is one. DIGITKIT_TOKEN is its token.",
            show_default=False,
        ),
    ] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find what prevents digits from being read on this machine, and how to fix it.

    Checks the system, the packages, the model (with real readings), cameras, memory, disk,
    temperature and power. Exit codes: 0 if digitkit infer can run, with or without warnings; 1 if
    it cannot, or the service that --service names does not answer; 2 for a wrong option.
    """
    from digitkit.device.doctor import diagnosis
    from digitkit.device.doctor.evidence import DoctorConfig

    config = DoctorConfig(model, camera, cameras=not no_camera, service=service)
    with show.progress(still=True) as report:
        result = diagnosis.diagnose(config, progress=report)
    if json_:
        show.print_json(result.to_json())
    else:
        _print(result)
    if result.problems:
        raise typer.Exit(SOME_FAILED)


def _print(diagnosis: Diagnosis) -> None:
    from rich.text import Text

    console = show.out()
    board = f" on {diagnosis.board}" if diagnosis.board else ""
    console.print(Text(f"digitkit {diagnosis.digitkit}{board}"), soft_wrap=True)
    group = ""
    for check in diagnosis.checks:
        if check.group != group:
            group = check.group
            console.print(Text(f"\n{group}", style="bold"))
        _print_check(check)
    problems, warnings = len(diagnosis.problems), len(diagnosis.warnings)
    stops = any(check.group != "service" for check in diagnosis.problems)
    verdict = "cannot run" if stops else "can run"
    end = Text.assemble(
        (f"digitkit infer {verdict}", _COLOURS["problem" if stops else "ok"]),
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
