"""Lines of a run that can be continued: what is read stays where the run is interrupted."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from digitkit.errors import OutputError, SourceError, os_reason
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.run_outputs import Outputs
from digitkit.inference.run_state import Done, OutputRun, open_run
from digitkit.sinks.lines import Stream
from digitkit.sinks.written import Key, WrittenLines
from digitkit.system import atomic


@contextmanager
def open_resumable_lines(
    config: InferConfig, header: dict[str, Any], columns: Sequence[str], outputs: Outputs[Any]
) -> Iterator[tuple[Stream, bool]]:
    """Open a run's JSON lines or CSV, after the lines that are there where it is continued.

    Args:
        config: names the output; see `InferConfig.is_resumable`.
        header: what the run is, see `digitkit.inference.run_state.describe_run`.
        columns: of CSV.
        outputs: gets what was read before; says at the end whether all was read.

    Yields:
        The stream, and whether CSV's header is there.

    Raises:
        ConfigError: the run cannot be continued, see `open_run`.
        OutputError: a file cannot be written.
    """
    output = config.output
    assert output is not None
    lines = WrittenLines(output, "csv" if config.resolved_format == "csv" else "jsonl", columns)
    outputs.resumable = True
    atomic.check_writable(output)
    with open_run(config, header) as run, ExitStack() as stack:
        old = _set_aside(output, run)
        stack.callback(_settle, config, lines, run, outputs, old)
        keep = 0
        if run.continues:
            keep = lines.header_length()

            def keys() -> Iterator[Key]:
                nonlocal keep
                for key, end in lines.keys(run.file.read_values().get("whole")):
                    keep = end
                    yield key

            outputs.done = Done(keys(), repeats=lines.how != "csv")
        try:
            with atomic.open_in_place(output, keep=keep) as stream:
                yield stream, keep > 0
        except (SystemExit, SourceError):  # SIGTERM waits for what is being written
            _note_whole(output, run)
            raise
        _note_whole(output, run)


def _set_aside(output: Path, run: OutputRun) -> Path | None:
    """Rename the file that a new run's lines replace; where it is, also for a run that continues.

    Raises:
        OutputError: it cannot be renamed, or the state not be written.
    """
    target = Path(os.path.realpath(output))
    if run.continues:
        name = run.file.read_values().get("old")
        return target.with_name(name) if isinstance(name, str) else None
    if not target.exists():
        return None
    old = atomic.free_name(target)
    mode = stat.S_IMODE(target.stat().st_mode)
    run.file.add_values({"old": old.name})
    try:
        target.rename(old)
        try:
            target.touch(mode=0o600)  # what only its owner may read stays private
            target.chmod(mode)
        except OSError:
            old.replace(target)
            raise
    except OSError as error:
        run.file.remove()
        problem = f"cannot be replaced: {os_reason(error)}"
        raise OutputError(problem, subject=str(output)) from error
    return old


def _settle(
    config: InferConfig,
    lines: WrittenLines,
    run: OutputRun,
    outputs: Outputs[Any],
    old: Path | None,
) -> None:
    """Remove the state of lines that nobody is to continue, and lines that were never begun.

    Args:
        config: of the run.
        lines: its output.
        run: its state.
        outputs: says how it ended.
        old: what they replace, which goes when all is read, and comes back where nothing was.
    """
    if not outputs.finished and not config.continues:
        with suppress(OSError):
            if lines.are_empty():
                if old is None:
                    lines.path.unlink()
                else:
                    old.replace(os.path.realpath(lines.path))
                run.file.remove()
                return
    if outputs.finished or outputs.has_video:
        if old is not None and not outputs.in_vain:
            old.unlink(missing_ok=True)
            run.file.add_values({"old": None})  # a later file of this name is somebody's own
        if not config.continues:
            run.file.remove()


def _note_whole(output: Path, run: OutputRun) -> None:
    with suppress(OSError):  # without it, the last picture of CSV is read again
        run.file.add_values({"whole": output.stat().st_size})
