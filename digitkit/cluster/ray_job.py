"""``digitkit infer --engine ray``: the files of a run read by a Ray cluster.

Ray Data does the work: it hands the parts of the manifest to actors, restarts these where a process
or a node is lost, and has their parts read again. What is digitkit's own is in the other modules.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from digitkit.cluster.manifest import (
    Manifest,
    list_remote,
    read_manifest,
    write_manifest,
)
from digitkit.cluster.part_reader import PartReader, unpack
from digitkit.cluster.table_folder import TableFolder, manifest_name
from digitkit.errors import ClusterError, ClusterRunError, ConfigError, needs_extra, one_line
from digitkit.inference.infer_config import InferConfig
from digitkit.inference.infer_job import reader_factory
from digitkit.inference.input_files import guarded
from digitkit.inference.outputs import table_form
from digitkit.inference.pipeline import Summary, Tally
from digitkit.inference.run_state import describe_run, open_run
from digitkit.inference.worker import ResultFormat
from digitkit.sinks.parquet import RowSink, TableForm, import_pyarrow
from digitkit.sources.files import expand_sources, list_sources
from digitkit.sources.frames import Failure
from digitkit.sources.items import Item
from digitkit.sources.urls import is_address
from digitkit.system.progress import Progress
from digitkit.system.streams import silence_native_errors

UNLISTED = "part-unlisted.parquet"
"""The part of the table with what could not be listed; it is there, maybe empty, before others."""

MAX_BLOCKS = 10_000
"""Blocks that the parts are handed out in: what Ray counts, restarts and keeps in memory."""

CONNECT_SECONDS = 10.0
"""How long a cluster's address may take to answer."""

START_SECONDS = 300
"""How long the first actor may take to start: a node may be waited for."""

STALL_SECONDS = 3600.0
"""Without a part for this long, the work is given up."""


def run_on_ray(
    config: InferConfig,
    *,
    on_failure: Callable[[Failure], None],
    notice: Callable[[str], None],
    progress: Progress,
) -> Summary:
    """Read everything that a configuration names on a cluster, into a Parquet table.

    Args:
        config: what to read, how, and the table's folder, which all nodes reach.
        on_failure: called with each source that could not be read.
        notice: called with a line for the user.
        progress: called with the number of files that were read.

    Raises:
        ClusterError: the cluster cannot be reached, has no room, or its work failed.
        ConfigError: more readers than CPUs are asked for, or a run cannot be continued.
        ModelError, InputNotFoundError: the model cannot be loaded.
        MissingDependencyError: Ray or pyarrow is not installed.
        OutputError: the table cannot be written.
    """
    assert config.output is not None
    ray = import_ray()
    make_reader = reader_factory(config, notice)
    reader = make_reader()  # here too, so that a wrong model is reported before anything else
    form = ResultFormat(table_form(config, reader), number_rule=config.number_rule)
    folder = TableFolder(config.output_address or str(config.output.absolute()))
    header = describe_run(config, reader.classifier)
    with open_run(config, header, is_there=folder.is_there) as run, _connect(ray, config):
        readers = count_readers(config, ray)
        manifest = _find_files(config, folder, readers, notice, continues=run.continues)
        folder.make()
        tally = Tally()
        _write_unlisted(manifest, form, folder, tally, on_failure)
        arguments = (make_reader, form, manifest.name, folder, Path.cwd())
        done = before = 0
        try:
            for summary, failures in _read_parts(manifest, readers, arguments):
                tally.add(summary)
                before += summary.done_before
                done += summary.images + summary.failures + summary.done_before
                for failure in failures:
                    on_failure(failure)
                progress("reading", done, max(done, manifest.files))
        except KeyboardInterrupt:
            return replace(tally.summary(interrupted=True), done_before=before)
        return replace(tally.summary(), done_before=before)


def import_ray() -> Any:
    """The module ``ray``, its usage statistics switched off.

    Raises:
        MissingDependencyError: it is not installed.
    """
    # Before the import, and for all processes that it starts: they are on by default.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import_pyarrow()
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise needs_extra("ray", "--engine ray", "ray") from error
    return ray


def count_readers(config: InferConfig, ray: Any) -> int:
    """How many actors read: one per CPU of the cluster, or as many as asked for.

    Raises:
        ClusterError: the cluster has no CPU.
        ConfigError: more are asked for than there are CPUs: the work would not end.
    """
    nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    most = sum(map(int, nodes))
    if not most:
        raise ClusterError("the cluster has no CPU to read with", hint="add a node to it")
    if config.workers == "auto":
        return most
    if config.workers > most:
        raise ConfigError(
            f"must be at most {most}, the cluster's CPUs, got {config.workers}", field="workers"
        )
    return config.workers


@contextmanager
def _connect(ray: Any, config: InferConfig) -> Iterator[None]:
    """Connect to the cluster, or begin one on this machine; leave it at the end."""
    if ray.is_initialized():
        yield
        return
    # Ray itself would also take any cluster that it finds on this machine.
    address = config.ray_address or os.environ.get("RAY_ADDRESS") or "local"
    _check_reachable(address)
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # errors arrive as exceptions
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == "local":
        options["include_dashboard"] = False
    with ExitStack() as stack:
        stack.callback(silence_native_errors())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(address, **options)
        except Exception as error:  # that itself, for example, where a node does not start in time
            raise ClusterError(
                f"the Ray cluster cannot be reached: {one_line(error)}", subject=address
            ) from error
        stack.callback(ray.shutdown)
        yield


def _check_reachable(address: str) -> None:
    """Try to reach a cluster: Ray itself would try for minutes, and end the process.

    Raises:
        ClusterError: nothing answers at a host and port.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto" and "local", which Ray resolves
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"the Ray cluster cannot be reached: {one_line(error)}", subject=address
        ) from error


def _find_files(
    config: InferConfig,
    folder: TableFolder,
    readers: int,
    notice: Callable[[str], None],
    *,
    continues: bool,
) -> Manifest:
    """The list of files; that of a run that is continued was made before.

    Unless what could not be listed is missing: nothing was read then, and all is listed again.
    """
    name = manifest_name(folder)
    if continues and folder.has(UNLISTED):
        return read_manifest(name)

    def find() -> Iterator[Item | Failure | str]:
        for source in list_sources(config.sources, nul=config.null):
            if not isinstance(source, str):
                yield source
            elif is_address(source):
                yield from list_remote(source)
            else:
                yield from expand_sources([source], notice=notice)

    return write_manifest(name, guarded(config, find()), readers)


def _write_unlisted(
    manifest: Manifest,
    form: ResultFormat,
    folder: TableFolder,
    tally: Tally,
    on_failure: Callable[[Failure], None],
) -> None:
    """Write the part of what could not be listed, unless it is there."""
    if folder.has(UNLISTED):
        return
    pa = import_pyarrow()
    assert isinstance(form.how, TableForm)
    sink = RowSink(form.how)
    for failure in manifest.failures:
        sink.fail(failure)
        tally.fail(failure)
        on_failure(failure)
    folder.write(UNLISTED, pa.Table.from_batches([sink.take_batch()]))


def _read_parts(
    manifest: Manifest, readers: int, arguments: tuple[Any, ...]
) -> Iterator[tuple[Summary, tuple[Failure, ...]]]:
    """Have the cluster read the parts; gives what became of each.

    Raises:
        ClusterError: the work failed, or stands still.
    """
    if not manifest.parts:
        return
    import ray

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    context.wait_for_min_actors_s = START_SECONDS
    context.execution_no_progress_timeout_s = STALL_SECONDS
    # The blocks are the parts' numbers, made here. If tasks were to read the manifest, they would
    # need a CPU beside the actors: with as many actors as CPUs, the work would stand still.
    import pyarrow as pa

    size = math.ceil(manifest.parts / MAX_BLOCKS)
    numbers = pa.table({"part": range(manifest.parts)})
    blocks = [numbers.slice(start, size) for start in range(0, manifest.parts, size)]
    parts = ray.data.from_arrow(blocks).map_batches(
        PartReader,
        fn_constructor_args=arguments,
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=readers, initial_size=readers),
        num_cpus=1,
    )
    try:
        for table in parts.iter_batches(batch_size=None, batch_format="pyarrow"):
            yield from unpack(table)
    except (ray.exceptions.RayError, ray.data.exceptions.ExecutionTimeoutError) as error:
        cause = getattr(error, "cause", None) or error
        raise ClusterRunError(
            f"the cluster's work failed: {one_line(str(cause))}",
            hint="what was read is kept: continue with --resume",
        ) from error
