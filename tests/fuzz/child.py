"""One process that feeds hostile files to a target; `run.py` starts it, and watches it.

It goes on after an error, and ends where native code crashes. The input at hand is in a file, so
that whoever started the process knows it.
"""

import faulthandler
import hashlib
import importlib.util
import os
import random
import re
import resource
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path

os.environ["DIGITKIT_PROFILE"] = os.devnull
sys.dont_write_bytecode = True

ADDRESS_SPACE = 6 << 30
"""Memory that the process may reserve, bytes; beyond, allocations fail."""

LONGEST = 1 << 14
"""Longest input, bytes; models are longer."""

COUNTER = "calls"
"""File with the number of inputs so far."""


class Guard:
    """Calls a target, and stores each input that it does not handle as it should."""

    def __init__(self, name: str, found: Path) -> None:
        """Make the target's seeds, in the current folder."""
        from fuzz.faulty import FAULTY
        from fuzz.targets import TARGETS

        self.name, self.target, self.found = name, (TARGETS | FAULTY)[name], found
        self.seeds = self.target.seeds()
        self.path = Path(self.target.file)
        self.seen: set[str] = set()
        self.stored: set[str] = set()
        self.latest = ""
        self._counter = os.open(COUNTER, os.O_WRONLY | os.O_CREAT)
        self.calls = 0
        self._watching = False
        self._events: list[str] = []
        sys.addaudithook(self._audit)
        for data in self.seeds:  # loads what is loaded on first use
            self(data)

    def __call__(self, data: bytes) -> bool:
        """Read one input; whether the outcome is a new one."""
        from digitkit.errors import DigitkitError

        self.path.write_bytes(data)
        self.calls += 1
        os.pwrite(self._counter, b"%d" % self.calls, 0)
        self._events.clear()
        with suppress(OSError):  # resets the peak
            Path("/proc/self/clear_refs").write_bytes(b"5")
        before = memory("VmRSS")
        self._watching, outcome = True, "fine"
        try:
            self.target.read(self.path)
        except DigitkitError as error:
            self._watching = False
            outcome = f"{type(error).__name__} {re.sub(r'[0-9]+', '0', error.problem)[:60]}"
            if "\n" in str(error):
                self._store(data, f"an error of several lines: {error}")
        except Exception as error:
            self._watching = False
            where = traceback.extract_tb(error.__traceback__)[-1]
            outcome = f"{type(error).__name__} at {where.filename}:{where.lineno}"
            self._store(data, outcome, traceback.format_exc(limit=-12))
        finally:
            self._watching = False
        for event in self._events[:1]:
            self._store(data, event)
        self._check_memory(data, before)
        self.latest = outcome
        new = outcome not in self.seen
        self.seen.add(outcome)
        return new

    def read(self, data: bytes) -> None:
        """Read one input."""
        self(data)

    def _check_memory(self, data: bytes, before: int) -> None:
        grown = (memory("VmHWM") - before) >> 20
        if self.calls > len(self.seeds) and grown > self.target.memory_mb:
            self._store(data, "memory", f"it grew by {grown} MB")

    def _store(self, data: bytes, kind: str, text: str = "") -> None:
        if kind in self.stored:
            return
        self.stored.add(kind)
        store(self.found, self.name, data, f"{kind}\n{text}")

    def _audit(self, event: str, arguments: tuple) -> None:
        """Note what touches anything but memory."""
        if not self._watching:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or path == os.devnull or not flags & _WRITING:
                return
        elif event not in _FORBIDDEN:
            return
        self._events.append(f"{event}{arguments!r:.200}")


_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_FORBIDDEN = frozenset(
    (
        *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.link", "os.chmod"),
        *("os.truncate", "os.system", "os.exec", "os.fork", "os.posix_spawn", "subprocess.Popen"),
        *("socket.connect", "socket.bind", "os.kill"),
    )
)


def store(found: Path, name: str, data: bytes, text: str) -> Path:
    """Store an input and what it does, where a report is made of it."""
    found.mkdir(parents=True, exist_ok=True)
    path = found / f"{name}-{hashlib.sha256(data).hexdigest()[:10]}"
    path.write_bytes(data)
    path.with_suffix(".txt").write_text(text, "utf-8", "backslashreplace")
    return path


def memory(field: str) -> int:
    """Resident memory of this process, bytes: now (VmRSS), or its peak (VmHWM)."""
    status = Path("/proc/self/status").read_bytes()
    return int(status.split(field.encode() + b":")[1].split()[0]) << 10


def mutate_at_random(guard: Guard, seed: str, calls: int, seconds: float) -> None:
    """Mutate seeds, and what gave a new outcome, for so many calls or so long."""
    rng = random.Random(seed)
    pool, end = list(guard.seeds), time.monotonic() + seconds
    for _ in range(calls):
        data = guard.target.mutate(rng.choice(pool), rng)
        if guard(data):
            pool.append(data)
        if time.monotonic() > end:
            break


def mutate_by_coverage(guard: Guard, seed: str, seconds: float, corpus: Path) -> None:
    """Mutate what reaches new lines of digitkit, for so long."""
    import atheris

    corpus.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(guard.seeds):
        (corpus / f"seed-{number}").write_bytes(data)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.3:
            return atheris.Mutate(data, min(most, len(data) + 64))
        return guard.target.mutate(data, rng)[:most]

    longest = max(LONGEST, 2 * max(map(len, guard.seeds)))
    signals = [f"-handle_{name}=0" for name in ("abrt", "segv", "bus", "fpe", "ill", "int", "term")]
    atheris.Setup(
        [
            *("fuzz", str(corpus), f"-max_len={longest}", f"-max_total_time={int(seconds) or 1}"),
            *(f"-seed={random.Random(seed).randrange(1, 2**31)}", "-timeout=999999"),
            *("-verbosity=0", "-print_final_stats=0", "-rss_limit_mb=0", *signals),
        ],
        guard.read,
        custom_mutator=mutate,
    )
    atheris.Fuzz()


def main() -> None:
    """`run.py` calls it: TARGET SEED CALLS SECONDS FOUND CORPUS, in a folder of its own."""
    name, seed, calls, seconds, found, corpus = sys.argv[1:]
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if corpus and importlib.util.find_spec("atheris"):
        import atheris

        with atheris.instrument_imports(include=["digitkit"], enable_loader_override=False):
            guard = Guard(name, Path(found))
        mutate_by_coverage(guard, seed, float(seconds), Path(corpus))
    else:
        guard = Guard(name, Path(found))
        mutate_at_random(guard, seed, int(calls), float(seconds))


if __name__ == "__main__":
    main()
