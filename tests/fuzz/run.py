"""Fuzz what digitkit reads: `make fuzz`, or this script with names of targets.

Each target runs in processes of its own, with limits on time and memory. Inputs that it does not
answer with a result or a DigitkitError are stored, with what happened and how to repeat it. With
the package atheris, mutations are guided by the lines of digitkit that they reach. Exit code 1 if
anything was found.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzz import child
from fuzz.faulty import FAULTY
from fuzz.targets import TARGETS

FOLDER = ROOT / ".fuzz"

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where each input is written; a disk would be what takes the time."""

INPUT_SECONDS = 20.0
"""How long one input may take, on a machine that does other work, too."""

MOST_DEATHS = 5
"""After as many processes have died, a target is given up."""

NO_LIMIT = 10**12
"""Inputs where only time limits their number."""


@dataclass(frozen=True)
class Work:
    """What a process does, and where to put what it finds.

    Attributes:
        seed: the same seed gives the same mutations, unless they are guided.
        calls: inputs at most.
        seconds: time at most.
        found: folder for the inputs that were not handled.
        corpus: folder for those that reach new lines; None for mutations by chance.
    """

    seed: str
    calls: int
    seconds: float
    found: Path
    corpus: Path | None = None


def fuzz(name: str, work: Work) -> int:
    """Fuzz a target; a process that dies stores its input, and another one goes on.

    Returns:
        The number of inputs.
    """
    end, calls = time.monotonic() + work.seconds, 0
    for generation in range(MOST_DEATHS):
        with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
            left = end - time.monotonic()
            problem = run_child(name, f"{work.seed}/{generation}", left, work, Path(folder))
            done = read_number(Path(folder, child.COUNTER))
            calls += done
            if problem is not None:
                path = Path(folder, (TARGETS | FAULTY)[name].file)
                child.store(work.found, name, path.read_bytes() if done else b"", problem)
        if problem is None or not done or calls >= work.calls or time.monotonic() > end:
            break
    return calls


def read_number(path: Path) -> int:
    """The number in a file; 0 where there is none."""
    return int(path.read_text()) if path.is_file() and path.stat().st_size else 0


def run_child(name: str, seed: str, seconds: float, work: Work, folder: Path) -> str | None:
    """Run one process in a folder; how it died, None if it came to its end."""
    arguments = (name, seed, work.calls, seconds, work.found.resolve(), work.corpus or "")
    log = folder / "log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", child.__file__, *map(str, arguments)],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )  # fmt: skip
        try:
            late = watch(process, folder / (TARGETS | FAULTY)[name].file)
        finally:
            process.kill()
            process.wait()
    if process.returncode == 0:
        return None
    said = log.read_bytes()[-5000:].decode("utf-8", "replace")
    if late:
        how = f"no end within {INPUT_SECONDS:g} s"
    elif process.returncode < 0:
        how = f"killed by {signal.Signals(-process.returncode).name}"
    else:
        how = f"exit code {process.returncode}"
    return f"{how}\n{said}"


def watch(process: subprocess.Popen, path: Path) -> bool:
    """Wait for a process; stop it if one input takes too long, and say so."""
    while True:
        try:
            process.wait(0.5)
            return False
        except subprocess.TimeoutExpired:
            started = path.stat().st_mtime if path.is_file() else time.time()
            if time.time() - started > INPUT_SECONDS:
                process.send_signal(signal.SIGABRT)  # it prints where it is
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                return True


def repeat(name: str, path: Path) -> None:
    """Read one stored input here, and say what comes of it."""
    path = path.resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        found = Path(folder, "found")
        guard = child.Guard(name, found)
        guard(path.read_bytes())
        print("\n".join(describe(found)) or f"handled: {guard.latest}")


def describe(found: Path) -> Iterator[str]:
    """The findings in a folder, first with what happened."""
    for path in sorted(found.glob("*.txt")):
        yield f"{path.with_suffix('')}: {path.read_text('utf-8').strip()}"


def main() -> int:
    """Fuzz what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=600, help="time for all targets")
    parser.add_argument("--seed", default=str(int(time.time())), help="of the mutations")
    parser.add_argument("--chance", action="store_true", help="do not use atheris")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="read one stored input")
    options = parser.parse_args()
    names = options.names or list(TARGETS)
    if options.repeat:
        repeat(names[0], options.repeat)
        return 0
    found = FOLDER / f"{time.strftime('%Y%m%d-%H%M%S')}"
    for name in names:
        corpus = None if options.chance else FOLDER / "corpus" / name
        work = Work(options.seed, NO_LIMIT, options.seconds / len(names), found, corpus)
        print(f"{name}: {fuzz(name, work):,} inputs, seed {options.seed}", flush=True)
    problems = list(describe(found))
    for text in problems:
        path = Path(text.split(": ")[0])
        command = f"{sys.executable} {sys.argv[0]} {path.name.rpartition('-')[0]} --repeat {path}"
        print(f"\n{text}\nagain: {command}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
