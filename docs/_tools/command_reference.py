"""The reference of the command line in Markdown, from the commands' own help texts."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import typer

from digitkit.cli.app import COMMANDS, app, digitkit


def exit_codes() -> str:
    """What ``digitkit --help`` says about them, as a paragraph."""
    found = re.search(r"Exit codes: .*?\.(?=\n)", digitkit.__doc__ or "", re.S)
    assert found, "digitkit --help says nothing about exit codes"
    return _escape(" ".join(found[0].split()))


def render() -> str:
    """Each command with its description, its options by panels, and its examples."""
    root: Any = typer.main.get_command(app)
    context = root.make_context("digitkit", ["infer"], resilient_parsing=True)
    parts = []
    for name in COMMANDS:
        _, command, _ = root.resolve_command(context, [name])
        parts.append(_describe(f"digitkit {name}", command))
        words = getattr(import_module(f"digitkit.cli.{name}"), "SUBCOMMANDS", {})
        parts += [_describe(f"digitkit {name} {word}", command.commands[word]) for word in words]
    return "\n\n".join(parts)


def _describe(path: str, command: Any) -> str:
    command.show_plain_values(command.make_context(path, [], resilient_parsing=True))
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    usage = " ".join([path, "[OPTIONS]", *map(_argument, arguments)])
    lines = [f"## `{path}`", "", f"```text\n{usage}\n```", "", _escape(command.help or "")]
    panels: dict[str, list[Any]] = {}
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            lines += ["", f"**{_argument(parameter)}**: {_escape(parameter.help or '')}"]
        else:
            panels.setdefault(parameter.rich_help_panel or "Options", []).append(parameter)
    for panel, parameters in panels.items():
        lines += ["", f"**{panel}**", "", "| option | |", "|---|---|", *map(_row, parameters)]
    examples = re.sub(r"^\[bold\]Examples\[/\]\n\n", "", command.epilog or "")
    shown, _, further = examples.partition("[bold]")
    commands = "\n".join(line for line in shown.splitlines() if line)
    lines += ["", "**Examples**", "", f"```sh\n{commands.replace(' — ', '    # ')}\n```"]
    if further:
        title, _, text = further.partition("[/]")
        lines += ["", f"**{title}**", "", _escape(text.strip().replace("\\\n", ""))]
    return "\n".join(lines)


def _argument(parameter: Any) -> str:
    return str(parameter.metavar or parameter.name.upper())


def _row(parameter: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    value = f" `{parameter.metavar}`" if parameter.metavar else ""
    default = _default(parameter)
    text = _escape(parameter.help or "") + (f" Default: `{default}`." if default else "")
    return f"| {names}{value} | {text} |".replace("\n", " ")


def _default(parameter: Any) -> str:
    """An option's default as the help shows it; empty for none."""
    shown, value = parameter.show_default, parameter.default
    if isinstance(shown, str):
        return shown
    if isinstance(value, bool):
        if not parameter.secondary_opts:
            return ""
        return str((parameter.opts if value else parameter.secondary_opts)[0])
    return str(value) if shown and value not in (None, "") else ""


def _escape(text: str) -> str:
    return re.sub(r"([|<>*\[\]])", r"\\\1", text)
