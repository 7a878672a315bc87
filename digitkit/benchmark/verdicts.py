"""What a report says in sentences: whether it can be trusted, what failed, what is recommended."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from digitkit.benchmark.findings import Finding
from digitkit.benchmark.report import BenchReport
from digitkit.benchmark.units import format_threads

MAX_ALIKE_LINES = 3
"""Up to this many variants with the same problem get a line each; more share one line."""


def describe(finding: Finding) -> str:
    """A finding as a sentence without a full stop."""
    value, limit = finding.value or 0.0, finding.limit or 0.0
    match finding.kind:
        case "throttled":
            text = f"{finding.flag} during the run"
        case "frequency_fall":
            first, last = finding.frequencies_mhz or (0.0, 0.0)
            text = (
                f"the clock fell by {value:.0%} during the run, from {first:.0f} to {last:.0f} MHz"
            )
        case "spread":
            text = f"its processes differ by {value:.0%}, more than {limit:.0%}"
        case "other_load":
            text = f"other processes used {value:.0%} of the CPU time during the run"
        case "busy_at_start":
            text = f"the machine was busy when the run began (load {value:.1f})"
        case "descheduled":
            text = f"did not run for {value:.0%} of its time because of other processes"
    return text if finding.variant is None else f"{finding.variant}: {text}"


def reasons(report: BenchReport, *, invalid: bool, ignore: Collection[str] = ()) -> list[str]:
    """Why a run is invalid, or why it is noisy, as sentences.

    Of many variants with the same problem only the worst is named. Reports of older versions have
    sentences only, which are given as they are.

    Args:
        report: the report.
        invalid: True for the reasons that make it invalid, False for those that make it noisy.
        ignore: names of variants that do not matter.
    """
    if not report.findings:
        return list(report.invalid if invalid else report.noisy)
    findings = [
        finding
        for finding in report.findings
        if finding.invalidates is invalid and finding.variant not in ignore
    ]
    return list(_group(findings))


def general_faults(report: BenchReport) -> list[str]:
    """Why a run is invalid as a whole, not just one of its variants.

    The sentences of an older report may be about either, and count as general.
    """
    variants = {finding.variant for finding in report.findings} - {None}
    return reasons(report, invalid=True, ignore={name for name in variants if name})


def _group(findings: Sequence[Finding]) -> Iterator[str]:
    done = set()
    for finding in findings:
        alike = [
            other for other in findings if other.kind == finding.kind and other.variant is not None
        ]
        if finding.variant is None or len(alike) <= MAX_ALIKE_LINES:
            yield describe(finding)
        elif finding.kind not in done:
            done.add(finding.kind)
            worst = max(alike, key=lambda other: other.value or 0.0)
            yield f"{describe(worst)}; the worst of {len(alike)} variants"


def verdicts(report: BenchReport) -> list[str]:
    """Whether the figures can be trusted and what could not be measured, one line each."""
    lines = [f"INVALID: {reason}" for reason in reasons(report, invalid=True)]
    lines += [f"noisy: {reason}" for reason in reasons(report, invalid=False)]
    lines += [f"not measured: {what}: {error}" for what, error in _errors(report)]
    notes = {variant.accuracy_note for variant in report.variants if variant.accuracy_note}
    lines += [f"* accuracy from the model card, not measured: {note}" for note in sorted(notes)]
    if report.quick:
        lines.append("a quick run with rough figures; omit --quick for reliable ones")
    if report.valid:
        lines.append(_confirm(report))
    return lines


def _errors(report: BenchReport) -> Iterator[tuple[str, str]]:
    for variant in report.variants:
        if variant.error:
            yield variant.name, variant.error
    for stages in report.stages:
        if stages.error:
            yield f"{stages.picture} with {stages.model}", stages.error
    for start in report.cold_starts:
        if start.error:
            yield f"digitkit infer with {start.model}", start.error
    for variant in report.variants:
        for several in variant.throughput:
            if several.error:
                yield f"{variant.name} in {several.workers} processes", several.error


def _confirm(report: BenchReport) -> str:
    """What supports a valid run; no more than the machine reports."""
    measured = [variant.processes for variant in report.measured]
    if not measured:
        return "nothing could be measured"
    passed = []
    environment = report.environment
    if environment.after.throttled is not None:
        passed.append("no throttling")
    # A virtual machine may report the same clock forever.
    real_clock = environment.governor is not None or environment.machine.virtual is not True
    if real_clock and all(
        any(process.frequencies_mhz) for processes in measured for process in processes
    ):
        passed.append("stable clock")
    if min(map(len, measured)) > 1:
        passed.append("processes agree")
    if not passed:
        return "nothing speaks against the run, but this machine reports little"
    noisy = ", though noisy" if report.noisy else ""
    return f"the run is valid{noisy}: {', '.join(passed)}"


def recommendations(report: BenchReport) -> list[str]:
    """What is recommended, and why, one line per model."""
    lines = []
    for profile in report.recommended or ():
        batch = f", batches of {profile.batch} for many images" if (profile.batch or 1) > 1 else ""
        how = f"{profile.precision}, {format_threads(profile.threads)}{batch}"
        lines.append(f"recommended for {profile.model}: {how}: {profile.why}")
    return lines
