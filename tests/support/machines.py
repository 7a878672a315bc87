"""Files of machines, and a Raspberry Pi's firmware."""

from __future__ import annotations

from pathlib import Path

# The server's files were copied from a virtual one. The Pis' are composed from what owners of such
# boards have published (cpuinfo, clocks, memory, firmware's answers), under 64-bit Raspberry Pi OS.
CAPTURED = Path(__file__).with_name("machines_files")


def write(path: Path, text: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


class Firmware:
    """Answers for vcgencmd, and remembers what it was asked."""

    def __init__(self, **answers: str) -> None:
        self.answers, self.asked = answers, []

    def __call__(self, command):
        self.asked.append(tuple(command))
        return self.answers.get(command[1])


NO_FIRMWARE = Firmware()
