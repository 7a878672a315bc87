"""Find what keeps digits from being read on this machine: ``digitkit doctor``.

Loads nothing heavy, so that it runs where NumPy, OpenCV or ONNX Runtime are missing or broken:
fresh processes try what may crash (`digitkit.device.doctor.probes`).
"""

from __future__ import annotations

from pathlib import Path

from digitkit.device.doctor.board import check_board
from digitkit.device.doctor.cameras import check_cameras
from digitkit.device.doctor.checks import Diagnosis
from digitkit.device.doctor.evidence import DoctorConfig, gather_evidence
from digitkit.device.doctor.model import check_model
from digitkit.device.doctor.packages import check_packages
from digitkit.device.doctor.service import check_service
from digitkit.device.doctor.system import check_system
from digitkit.system.kernel import ROOT
from digitkit.system.processes import RunCommand, run_command
from digitkit.system.progress import Progress, no_progress
from digitkit.version import __version__


def diagnose(
    config: DoctorConfig | None = None,
    *,
    root: Path = ROOT,
    run: RunCommand = run_command,
    progress: Progress = no_progress,
) -> Diagnosis:
    """Check everything that ``digitkit infer`` needs; takes seconds.

    Args:
        config: what to look at; None for the default.
        root: the folder that holds the system's files.
        run: runs a command of the system.
        progress: called before each step.
    """
    evidence = gather_evidence(config or DoctorConfig(), root, run, progress)
    checks = (
        *check_system(evidence),
        *check_packages(evidence),
        *check_model(evidence),
        *check_cameras(evidence),
        *check_board(evidence),
        *check_service(evidence),
    )
    return Diagnosis(__version__, evidence.machine.board, checks)
