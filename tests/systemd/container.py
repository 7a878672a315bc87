"""A Debian in a container whose systemd is booted, without a network."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

BOOT_SECONDS = 120

NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd")

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


class UnavailableError(Exception):
    """This machine cannot boot a container; the message says why."""


def check_tools() -> None:
    """Check what can be checked before anything is fetched; raises `UnavailableError`."""
    if os.geteuid() != 0:
        raise UnavailableError("needs root")
    if not (shutil.which("systemd-nspawn") and shutil.which("nsenter")):
        raise UnavailableError("needs systemd-nspawn: apt-get install systemd-container")


class Container:
    """A booted container; a context manager. Its root stays as it is: changes are in memory."""

    def __init__(self, root: Path, folders: Mapping[str, Path]) -> None:
        """Prepare a container in which `folders` can be read, by their paths inside."""
        self.root, self.folders = root, folders

    def __enter__(self) -> Self:
        binds = [f"--bind-ro={source}:{inside}" for inside, source in self.folders.items()]
        # Where systemd does not run there is nobody to register with.
        alone = [] if Path("/run/systemd/system").is_dir() else ["--keep-unit"]
        self._output = tempfile.TemporaryFile()
        self._nspawn = subprocess.Popen(
            [
                *(
                    "systemd-nspawn",
                    f"--directory={self.root}",
                    f"--machine=digitkit-{os.getpid()}",
                ),
                *("--boot", "--volatile=overlay", "--private-network", "--register=no", *alone),
                *(*binds, "systemd.unit=multi-user.target"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
        )
        deadline = time.monotonic() + BOOT_SECONDS
        # "degraded": something that the container lacks, such as a console.
        while self.run("systemctl is-system-running").stdout.strip() not in ("running", "degraded"):
            if self._nspawn.poll() is not None or time.monotonic() > deadline:
                self._output.seek(0)
                end = self._output.read().decode(errors="replace").strip()[-500:]
                self.__exit__()
                raise UnavailableError(f"systemd does not boot in a container: {end}")
            time.sleep(0.2)
        return self

    def __exit__(self, *error: object) -> None:
        self._nspawn.terminate()
        try:
            self._nspawn.wait(30)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait()
        self._output.close()

    def run(self, command: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a line for ``sh`` as root."""
        return subprocess.run(
            ["nsenter", f"--target={self._find_init()}", *NAMESPACES, "sh", "-c", command],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )

    def _find_init(self) -> str:
        """The container's process 1; 0, which nothing can enter, while there is none."""
        process = self._nspawn.pid
        try:
            for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
                # Other children are on this side, where no command must run.
                for line in Path(f"/proc/{child}/status").read_text().splitlines():
                    if re.fullmatch(r"NSpid:(\t\d+)+\t1", line):
                        return child
        except OSError:
            pass
        return "0"


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether a condition comes true within some time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True
