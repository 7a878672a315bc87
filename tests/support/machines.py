"""Files of real machines, and a Raspberry Pi's firmware."""

import dataclasses
from pathlib import Path

from digitkit.system.conditions import Conditions

# The server's files were copied from a virtual machine. The Pis' are composed from what owners of
# such boards published (cpuinfo, clocks, memory, firmware answers), under 64-bit Raspberry Pi OS.
CAPTURED = Path(__file__).with_name("machines_files")
CPUS = Path("sys/devices/system/cpu")


def no_conditions(**known: object) -> Conditions:
    """Conditions of a system that provides nothing but what is given."""
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(Conditions))
    return Conditions(**nothing | {"frequencies_mhz": ()} | known)


def write(path: Path, text: str | bytes) -> None:
    """Write a file, and create the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


class Firmware:
    """Answers in place of vcgencmd, and remembers the questions."""

    def __init__(self, **answers: str) -> None:
        self.answers, self.asked = answers, []

    def __call__(self, command):
        self.asked.append(tuple(command))
        return self.answers.get(command[1])


NO_FIRMWARE = Firmware()
