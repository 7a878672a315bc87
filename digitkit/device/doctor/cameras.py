"""Checks of cameras: which exist, whether they may be used and are free, and a real frame."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import partial

from digitkit.device.doctor.checks import Check, State
from digitkit.device.doctor.evidence import Evidence
from digitkit.sources import v4l2
from digitkit.sources.camera_names import PI_CAMERA
from digitkit.sources.urls import is_address

DARK = 5.0
"""A frame of a mean brightness below this, of 255, shows nothing."""

_Check = partial(Check, group="camera")


def check_cameras(evidence: Evidence) -> Iterator[Check]:
    """Check the requested camera, else those that exist."""
    config = evidence.config
    if not config.cameras:
        yield _Check("cameras", "skipped", "not looked at, as requested")
        return
    if not config.remote and config.camera != PI_CAMERA:
        yield _check_devices(evidence)
        yield _check_permission(evidence)
        yield _check_use(evidence)
    usable = [device.path for device in evidence.devices if device.usable]
    if config.camera is None:
        yield _check_frame(evidence, "frame", *usable[:1])
    elif config.camera != PI_CAMERA:
        yield _check_frame(evidence, "frame", config.camera)
    if config.camera == PI_CAMERA or (config.camera is None and evidence.on_pi):
        yield _check_frame(evidence, PI_CAMERA, PI_CAMERA)
    elif config.camera is None:
        yield _Check(PI_CAMERA, "skipped", "not a Raspberry Pi")


def _failed(evidence: Evidence) -> State:
    """The state of a camera that does not work: one that nobody requested stops nothing."""
    return "warning" if evidence.config.camera is None else "problem"


def _check_devices(evidence: Evidence) -> Check:
    name, requested = "cameras", evidence.config.device
    listed = [f"{d.path} ({d.card}, {d.driver})" for d in evidence.devices if d.usable]
    own = [d.path for d in evidence.devices if d.captures and not d.usable]
    if own:
        listed.append(f"the Pi's own camera: {', '.join(own)}")
    if requested is not None and not evidence.requested_devices:
        others = f"; available: {', '.join(listed)}" if listed else ""
        found = f"{requested} does not exist{others}"
        remedy = "connect it, then run ls /dev/video*; sudo dmesg | tail shows what USB detected"
        return _Check(name, "problem", found, remedy)
    if listed:
        return _Check(name, "ok", "; ".join(listed))
    if sys.platform != "linux":
        found = "listed on Linux only; try one with digitkit doctor --camera 0"
        return _Check(name, "skipped", found)
    found = "none that can be queried" if evidence.devices else "none"
    return _Check(name, "skipped", f"{found}; images and videos need none")


def _check_permission(evidence: Evidence) -> Check:
    name, devices = "permission", evidence.devices
    if evidence.config.device is not None:
        devices = evidence.requested_devices
    barred = [device for device in devices if device.trouble == "permission"]
    if not barred:
        if not evidence.devices:
            return _Check(name, "skipped", "no camera")
        return _Check(name, "ok", "this user may use the cameras")
    group = barred[0].group
    found = f"this user may not use {', '.join(device.path for device in barred)}"
    if group in read_memberships():
        found += f"; the group {group} was granted after this session began"
        return _Check(name, _failed(evidence), found, "log out and in again, or sudo reboot")
    remedy = f"sudo usermod -aG {group} $USER, then log out and in again"
    found += f": not in the group {group}"
    return _Check(name, _failed(evidence), found, remedy)


def read_memberships() -> set[str]:
    """The groups that the system assigns to this user, whether or not this session has them."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return set()
    return {group.gr_name for group in grp.getgrall() if user in group.gr_mem}


def _check_use(evidence: Evidence) -> Check:
    name, requested = "in use", evidence.config.device
    paths = [device.path for device in evidence.devices if device.usable]
    if requested is not None:
        paths = [v4l2.resolve_path(requested, evidence.root)]
    holders = {path: v4l2.find_holders(path, evidence.root) for path in paths}
    programs = {path: names for path, names in holders.items() if names}
    busy = [d.path for d in evidence.devices if d.trouble == "busy" and d.path not in programs]
    if not paths or not evidence.devices:
        return _Check(name, "skipped", "no camera")
    if not programs and not busy:
        return _Check(name, "ok", "no other program is visible")
    found = [f"{path} by {', '.join(names)}" for path, names in programs.items()]
    found += [f"{path} by another program" for path in busy]
    remedy = "close that program; stop a service with sudo systemctl stop digitkit"
    if busy:
        remedy = f"sudo fuser -v {busy[0]} shows which; {remedy}"
    return _Check(name, "warning", "; ".join(found), remedy)


def _check_frame(evidence: Evidence, name: str, camera: str | None = None) -> Check:
    """Check the frame that was taken from a camera; `camera` is None if there is none."""
    if camera is None:
        return _Check(name, "skipped", "no camera")
    if missing := evidence.missing_for_cameras:
        return _Check(name, "skipped", f"needs {missing}, which does not load")
    answer = evidence.frames.get(camera)
    if answer is None:
        return _Check(name, "skipped", f"{evidence.config.device} cannot be opened")
    facts, failure = answer.facts, answer.failure
    if facts is None:
        again = "disconnect it and connect it again; sudo dmesg | tail shows what USB detected"
        if is_address(camera):
            again = "check that a player such as ffplay can show it"
        if failure is None:
            return _Check(name, _failed(evidence), f"{camera} opens but gives no frames", again)
        # Most Pis have no camera of their own, and the Lite OS has no picamera2.
        optional = evidence.config.camera is None and failure.reason == "missing-camera"
        state = "skipped" if optional else _failed(evidence)
        found = failure.problem if failure.subject == name else str(failure)
        return _Check(name, state, found, failure.hint or again)
    found = f"{facts.width}×{facts.height} pixels, brightness {facts.brightness:.0f} of 255"
    if facts.brightness < DARK:
        remedy = "remove the lens cap and turn on a light"
        return _Check(name, "warning", f"{found}: all black", remedy)
    return _Check(name, "ok", found)
