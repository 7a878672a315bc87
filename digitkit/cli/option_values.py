"""How the values of options are checked, and how options are shown and named in errors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from digitkit.errors import ConfigError

_VALUE_NAMES = {int: "N", float: "X"}
"""How the help names values of these types; options with others say it themselves."""


class OptionChecks:
    """Checks values only where needed, and reports a `ConfigError` under its option's name."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options; their errors name them."""
        skip_checks(self, ctx)
        with self._named_by_options(ctx):
            return super().parse_args(ctx, args)  # type: ignore[misc,no-any-return]

    def invoke(self, ctx: Any) -> Any:
        """Call the command; errors of its configuration name the options."""
        with self._named_by_options(ctx):
            return super().invoke(ctx)  # type: ignore[misc]

    @contextmanager
    def _named_by_options(self, ctx: Any) -> Iterator[None]:
        try:
            yield
        except ConfigError as error:
            command: Any = self
            options = [one for one in command.get_params(ctx) if one.name == error.field]
            if not options or is_service():  # which has settings instead of options
                raise
            name = _option_name(options[0])
            raise ConfigError(error.problem, hint=error.hint, field=name) from error

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Draw the help, without Python's types."""
        self.show_plain_values(ctx)
        super().format_help(ctx, formatter)  # type: ignore[misc]

    def show_plain_values(self, ctx: Any) -> None:
        """Name the values of options as people write them."""
        command: Any = self
        for parameter in command.get_params(ctx):
            _hide_type(parameter, get_type_hints(command.callback).get(parameter.name))


def _option_name(parameter: Any) -> str:
    """``--page-size``; an argument's name as the help shows it, such as SOURCES."""
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return str(max(parameter.opts, key=len))


def _hide_type(parameter: Any, kind: Any) -> None:
    """Show the value of an option as people write it, ``N``, instead of as Python's type."""
    if parameter.param_type_name == "argument":
        parameter.display_type_rich = lambda ctx: None  # which typer shows from 0.29 on
    elif parameter.metavar is None:
        parameter.metavar = _VALUE_NAMES.get(_plain_type(kind), "")
        if choices := _choices(kind):
            parameter.metavar = "|".join(map(str, choices))


def _plain_type(kind: Any) -> Any:
    """``int`` of ``int | None``; any other type as it is."""
    parts = [part for part in get_args(kind) if part is not type(None)]
    return parts[0] if len(parts) == 1 and get_origin(kind) is not list else kind


def _choices(kind: Any) -> tuple[Any, ...]:
    """The values of a ``Literal``, or of one that may be None; empty for other types."""
    for part in (kind, *get_args(kind)):
        if get_origin(part) is Literal:
            return get_args(part)
    return ()


def skip_checks(command: Any, ctx: Any) -> None:
    """Take values as they are that need no check: defaults, text, paths, and choices in full.

    typer has all values checked by pydantic, which takes longer to load than the rest of the
    command line; most calls do without it.
    """
    called = inspect.signature(command.callback).parameters
    defaults = {name: parameter.default for name, parameter in called.items()}
    kinds = get_type_hints(command.callback)
    for parameter in command.get_params(ctx):
        if not parameter.required:
            name = parameter.name
            parameter.process_value = partial(
                _process_value, parameter.process_value, name, kinds.get(name), defaults.get(name)
            )


def _process_value(
    check: Callable[[Any, Any], Any], name: str, kind: Any, default: Any, ctx: Any, value: Any
) -> Any:
    if ctx.get_parameter_source(name).name == "DEFAULT":
        return default
    if kind in (str, str | None, list[str] | None):
        return value
    if kind in (Path, Path | None):
        if not value:  # Path("") would be the current folder
            raise ConfigError("must not be empty", field=name)
        return Path(value)
    choices = _choices(kind)
    if value in choices:
        return value
    if choices:
        names = ", ".join(map(str, choices))
        raise ConfigError(f"must be one of {names}, got {value!r}", field=name)
    number = _plain_type(kind)
    if number in (int, float):
        try:
            return number(value)
        except ValueError:
            what = "a whole number" if number is int else "a number"
            raise ConfigError(f"must be {what}, got {value!r}", field=name) from None
    return check(ctx, value)


def is_service() -> bool:
    """Whether systemd supervises this process: it has settings instead of options."""
    from digitkit.system.notify import is_supervised  # not at the top: most runs have no error

    return is_supervised()
