"""``digitkit serve`` in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

httpx = pytest.importorskip("httpx")


MAIN = "if __name__ == '__main__': from digitkit.cli.app import main; main()"


class Serving:
    """A running service on a free port, with its history in a folder.

    Attributes:
        url: of the service, with a slash at the end.
        client: sends requests to it.
        process: that serves.
        history: its file.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: object,
        env: dict[str, str] | None = None,
        before: str = "pass",
    ) -> None:
        """Start it; `before` is Python that runs first, to shorten its patience, say."""
        self.history = folder / "history.db"
        self.errors = folder / "errors.txt"
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", f"{before}\n{MAIN}", "serve", "--port", "0"),
                    *("--history", str(self.history), *map(str, arguments)),
                ],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | (env or {}),
            )
        line = self.process.stdout.readline()
        if not line.startswith("serving at "):
            self.process.wait(30)
            raise AssertionError(f"does not serve: {line}{self.errors.read_text()}")
        self.url = line.split()[2]
        self.client = httpx.Client(base_url=self.url, timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].strip("/"))

    def end(self, number: int = signal.SIGTERM, seconds: float = 30) -> int:
        """Send a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def read(self, data: bytes, **options: object):
        return self.client.post("api/read", content=data, params=options)


def until(condition, seconds: float = 30):
    """Wait until a condition is true; its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it does not become true"
        time.sleep(0.02)
    return value
