"""The command line through Typer's runner."""

import json

from typer.testing import CliRunner

from digitkit.cli.app import app


def run(*arguments: object, stdin: str | bytes | None = None):
    return CliRunner().invoke(app, [str(a) for a in arguments], input=stdin)


def one_error_line(result, code: int) -> str:
    """A user's mistake: its exit code, one line on stderr, no traceback."""
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    (line,) = result.stderr.splitlines()
    return line


def json_lines(result) -> list[dict]:
    return [json.loads(line) for line in result.stdout.splitlines()]
