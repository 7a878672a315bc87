"""The check of ``digitkit serve``: whether it answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from digitkit.device.doctor.checks import Check
from digitkit.device.doctor.evidence import Evidence

_Check = partial(Check, group="service")


def check_service(evidence: Evidence) -> Iterator[Check]:
    """Check that the service answers, where there is one to ask."""
    answer = evidence.service
    if answer is None:
        return
    if answer.problem is not None or answer.status is None:
        found = f"{answer.url} does not answer: {answer.problem}"
        state = "problem" if answer.required else "warning"
        yield _Check("serve", state, found, "systemctl status digitkit says why")  # type: ignore[arg-type]
    elif answer.health is not None:
        yield _describe(answer.url, answer.health)
    elif answer.status == 401:
        yield _Check("serve", "ok", f"{answer.url} answers, and requires a token")
    else:
        found = f"{answer.url} answers with status {answer.status}"
        yield _Check("serve", "warning", found, "check that it is digitkit serve")


def _describe(url: str, health: dict[str, object]) -> Check:
    found = f"{url} answers: digitkit {health.get('version')}"
    camera = health.get("camera")
    if not isinstance(camera, dict):
        return _Check("serve", "ok", found)
    if health.get("status") == "ok":
        return _Check("serve", "ok", f"{found}, {camera.get('fps')} frames per second")
    note = camera.get("note") or "it gives no new pictures"
    return _Check("serve", "warning", f"{found}, but of its camera: {note}", "check the camera")
