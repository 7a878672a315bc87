"""Runs arm64 commands in a root with qemu's user-mode emulation, without a network.

A `Machine` is a root with a writable layer on top (overlayfs), held by a process in separate
namespaces: what runs in it sees no network and no other process, and leaves nothing behind. It
requires Linux 5.11 or newer, util-linux, and qemu-user-static, version 7 or newer.

The kernel starts arm64 programs through binfmt_misc. From Linux 6.7 on each user namespace has its
own, and the machine's is not touched. On older kernels the machine's own registration is used,
which Debian's qemu-user-binfmt and qemu-user-static create. Users other than root need the
``uidmap`` package and a range in ``/etc/subuid``.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self

CPUS = {"cortex-a53": "Pi 3, Zero 2 W", "cortex-a72": "Pi 4", "cortex-a76": "Pi 5"}
"""The processors of 64-bit Raspberry Pis."""

STICK = "/media/stick"
"""Where files are put in a machine: not into the home, which may be small."""

USERS = {"pi": (1000, "1000,44", "/home/pi"), "root": (0, "0", "/root")}
"""Name: number, groups (44 is video), home."""

_MAGIC = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    r":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:{qemu}:PF"
)

# Its arguments: the root, where its changes go, the size of its home (0: on the disk), the qemu.
_HOLD = r"""
set -eu
root=$1 changes=$2 home=$3 line=$4
if mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/dev/null &&
    printf '%s' "$line" 2>/dev/null > /proc/sys/fs/binfmt_misc/register; then :
elif test -e /proc/sys/fs/binfmt_misc/qemu-aarch64; then :
else
    echo 'this kernel cannot start arm64 programs; it must be Linux 6.7 or newer,' \
        'or have the binfmt_misc registration that qemu-user-binfmt creates'
    exit 1
fi
mkdir "$changes/upper" "$changes/work" "$changes/disk"
disk=$changes/disk
mount -t overlay -o "lowerdir=$root,upperdir=$changes/upper,workdir=$changes/work,userxattr" \
    overlay "$disk"
mount -t proc proc "$disk/proc"
mount -t tmpfs -o mode=755 dev "$disk/dev"
for device in null zero full random urandom tty; do
    : > "$disk/dev/$device"
    mount --bind "/dev/$device" "$disk/dev/$device"
done
mkdir "$disk/dev/shm"
chmod 1777 "$disk/dev/shm"
ln -s /proc/self/fd "$disk/dev/fd"
if test "$home" != 0; then
    mkdir "$changes/home"
    mount -t tmpfs -o "size=${home}m,mode=700" home "$changes/home"
    cp -a "$disk/home/pi/." "$changes/home"
    mount --move "$changes/home" "$disk/home/pi"
fi
hostname raspberrypi
ip link set lo up 2>/dev/null || true
echo ready
cat > /dev/null
umount -R "$disk"
rm -rf "$changes"/*
"""


class HarnessError(Exception):
    """A check failed, or cannot run; the message says why and what to do."""


def find_qemu() -> str:
    """The path of a qemu for arm64 that knows the processors."""
    # The static one first: another cannot start in a root, where its libraries are missing.
    path = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    known = path and subprocess.run([path, "-cpu", "help"], capture_output=True, text=True).stdout
    if path is None or not set(CPUS) <= set(known.split()):
        raise HarnessError("qemu 7 or newer is missing; apt-get install qemu-user-static")
    return path


class Machine:
    """A root with a disk of its own, in which commands run; a context manager.

    Attributes:
        disk: its file tree, as seen from outside while it runs: ``disk / "home/pi/x"``.
    """

    def __init__(self, root: Path, *, home_mb: int = 0) -> None:
        """Prepare a machine with a home folder of a size in MiB; 0: as large as the disk.

        The root is not changed. Its changes go next to it, so it must be on a file system that
        overlayfs accepts as upper layer (ext4, xfs, tmpfs).
        """
        self.root, self.home_mb = root, home_mb

    def __enter__(self) -> Self:
        self._changes = Path(tempfile.mkdtemp(prefix=".machine-", dir=self.root.parent))
        self._changes.chmod(0o755)
        everyone = ("--map-root-user", "--map-auto")
        if os.geteuid() == 0:
            everyone = ("--map-users=0:0:65536", "--map-groups=0:0:65536")
        unshare = ("unshare", "--user", *everyone, "--mount", "--net", "--pid", "--ipc", "--uts")
        unshare += ("--fork", "--mount-proc", "--kill-child")
        arguments = (self.root, self._changes, str(self.home_mb), _MAGIC.format(qemu=find_qemu()))
        self._holder = subprocess.Popen(
            (*unshare, "sh", "-c", _HOLD, "sh", *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        output = ""
        while not output.endswith("ready\n"):
            line = self._holder.stdout.readline()
            output += line
            if not line:
                self.__exit__()
                raise HarnessError(f"cannot create namespaces for arm64: {output.strip()}")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        inside = children.read_text().split()[0]
        self._enter = ("nsenter", f"--target={inside}", "--user", "--mount", "--net", "--pid")
        self._enter += ("--ipc", "--uts")
        self._root = f"{self._changes}/disk"
        self.disk = Path(f"/proc/{inside}/root{self._root}")
        return self

    def __exit__(self, *error: object) -> None:
        self._holder.stdin.close()
        self._holder.wait()
        shutil.rmtree(self._changes, ignore_errors=True)

    def start(
        self, command: str, *, user: str = "pi", cpu: str = "cortex-a72"
    ) -> subprocess.Popen[str]:
        """Start a line for ``sh`` as user ``pi`` or ``root``, in a process group of its own."""
        number, groups, home = USERS[user]
        chroot = ("chroot", f"--userspec={number}:{number}", f"--groups={groups}", self._root)
        return subprocess.Popen(
            ("nice", "-n19", *self._enter, *chroot, "/bin/sh", "-c", f"cd {home} && {command}"),
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                **{"HOME": home, "USER": user, "LOGNAME": user},
                **{"LANG": "C.UTF-8", "QEMU_CPU": cpu},
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def run(
        self, command: str, *, user: str = "pi", cpu: str = "cortex-a72", timeout: float = 900
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as `start` does; after `timeout` seconds its exit code is 124."""
        process = self.start(command, user=user, cpu=cpu)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            kill(process)
            out, err = process.communicate()
            process.returncode = 124
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    def put(self, source: Path) -> str:
        """Copy a file or a folder to a stick, for the user pi; returns its path inside."""
        copy = 'mkdir -p "$2" && cp -R --preserve=mode "$1" "$2" && chown -R 1000:1000 "$2"'
        self.run_outside(copy, str(source.resolve()), f".{STICK}")
        return f"{STICK}/{source.name}"

    def run_outside(self, script: str, *arguments: str) -> None:
        """Run a script with the host's programs, in the root of the emulated machine's disk."""
        script = f"cd '{self._root}' && {script}"
        subprocess.run((*self._enter, "sh", "-c", script, "sh", *arguments), check=True)


def kill(process: subprocess.Popen[str], how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a started command and all of its children."""
    os.killpg(process.pid, how)
