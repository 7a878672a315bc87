"""Whether a measurement is valid: throttling, clocks, other load, processes that disagree."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from digitkit.benchmark.findings import Finding
from digitkit.benchmark.variants import MeasuredVariant
from digitkit.system.conditions import HOT_C, THROTTLE_FLAGS, Conditions, throttle_words
from digitkit.system.machine import Machine

BUSY_LOAD = 0.5
"""A one-minute load per usable core above which a benchmark should not begin."""

MAX_OTHER_LOAD = 0.1
"""The fraction of CPU time above which other processes make a measurement noisy."""

MAX_FREQUENCY_FALL = 0.05
"""A clock that falls by more than this fraction during a benchmark makes it invalid."""

_NOW, _SINCE_BOOT = 0xF, 16
"""The throttling word's flags of the moment, and where the same flags since boot begin."""


def warnings_before(machine: Machine, conditions: Conditions) -> list[str]:
    """Why a benchmark should not begin now: one line per reason, with the remedy."""
    lines = []
    if "powersave" in (conditions.governor or "").split("/"):
        lines.append(
            "the governor powersave may keep the clock low: echo performance | sudo tee "
            "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
    load = conditions.load_1m
    if load is not None and load > BUSY_LOAD * machine.usable_cores:
        lines.append(
            f"the machine is busy (load {load:.1f}, usable cores: {machine.usable_cores}): "
            "stop other programs, or wait"
        )
    flags = (conditions.throttled or 0) & _NOW
    if flags:
        remedy = "use a better power supply or cable" if flags & 1 else "let it cool down"
        lines.append(f"the board reports {', '.join(throttle_words(flags))}: {remedy}")
    heat = conditions.temperature_c
    if heat is not None and heat > HOT_C:
        lines.append(f"the processor is at {heat:.0f} °C: let it cool down, or improve its cooling")
    return lines


def find_problems(
    machine: Machine,
    before: Conditions,
    after: Conditions,
    variants: Sequence[MeasuredVariant],
    max_spread: float,
) -> tuple[Finding, ...]:
    """Why the figures of a benchmark cannot be trusted, or may be off.

    Args:
        machine: what it ran on.
        before: conditions before the first measurement.
        after: conditions after the last one.
        variants: the figures.
        max_spread: limit for `MeasuredVariant.spread`.
    """
    findings = judge(machine, before, after, *_loaded_clocks(variants))
    for variant in variants:
        stolen = descheduled_fraction(variant)
        if stolen is not None and stolen > MAX_OTHER_LOAD:
            findings.append(Finding("descheduled", variant.name, stolen, MAX_OTHER_LOAD))
        if variant.spread > max_spread:
            findings.append(Finding("spread", variant.name, variant.spread, max_spread))
    return tuple(findings)


def judge(
    machine: Machine,
    before: Conditions,
    after: Conditions,
    first: Sequence[float] = (),
    last: Sequence[float] = (),
) -> list[Finding]:
    """What makes everything that was measured between two moments invalid or noisy.

    Throttling counts if a flag was active at either moment, or if its "since boot" flag is new (one
    that was set before carries no information; the clock does). Other load is judged by CPU time
    or, where that is not available, by the load at the start.

    Args:
        machine: what it ran on.
        before: read before the run.
        after: read after it.
        first: as for `frequency_fall`; `before` and `after` see idle clocks.
        last: as for `frequency_fall`.
    """
    findings = []
    if after.throttled is not None:
        was = after.throttled if before.throttled is None else before.throttled
        new = (after.throttled & ~was) >> _SINCE_BOOT
        bits = (after.throttled | was | new) & _NOW
        findings = [
            Finding("throttled", flag=flag)
            for bit, flag in enumerate(THROTTLE_FLAGS)
            if bits >> bit & 1
        ]
    fall = frequency_fall(first, last)
    if fall > MAX_FREQUENCY_FALL:
        clocks = (median(first), median(last))
        findings.append(
            Finding("frequency_fall", value=fall, limit=MAX_FREQUENCY_FALL, frequencies_mhz=clocks)
        )
    load, limit = before.load_1m, BUSY_LOAD * machine.usable_cores
    others = other_load(before, after)
    if others is None:
        if load is not None and load > limit:
            findings.append(Finding("busy_at_start", value=load, limit=limit))
    elif others > MAX_OTHER_LOAD:
        findings.append(Finding("other_load", value=others, limit=MAX_OTHER_LOAD))
    return findings


def frequency_fall(first: Sequence[float], last: Sequence[float]) -> float:
    """By which fraction the median clock fell, 0–1; 0 if it rose, or where a sample is empty.

    Args:
        first: clocks of the cores, MHz, under load soon after the start.
        last: the same just before the end, still under load.
    """
    if not first or not last:
        return 0.0
    return max(0.0, 1 - median(last) / median(first))


def other_load(before: Conditions, after: Conditions) -> float | None:
    """The fraction of the machine's CPU time that other processes used between two moments.

    None if not available, or if less than half a second of CPU time passed: ticks are 10 ms.
    """
    if before.cpu_seconds is None or after.cpu_seconds is None:
        return None
    pairs = zip(before.cpu_seconds, after.cpu_seconds, strict=True)
    others, total = (end - begin for begin, end in pairs)
    return max(0.0, others / total) if total >= 0.5 else None


def descheduled_fraction(variant: MeasuredVariant) -> float | None:
    """The fraction of its calls' time that a variant did not run; None with several threads.

    Processes that are all delayed alike agree with each other, and are slow.
    """
    if variant.threads > 1:
        return None
    wall = variant.latency.mean_us / variant.batch / 1000
    return max(0.0, 1 - variant.cpu_s_per_1000_images / wall)


def _loaded_clocks(variants: Sequence[MeasuredVariant]) -> tuple[list[float], list[float]]:
    """The working cores' clocks at the start of the first round and in the slowest round."""
    rounds = max((len(variant.processes) for variant in variants), default=0)

    def clocks(number: int, moment: int) -> list[float]:
        # The highest is that of a core at work: idle ones have fallen, or are about to.
        sampled = [
            variant.processes[number].frequencies_mhz[moment]
            for variant in variants
            if number < len(variant.processes) and variant.processes[number].frequencies_mhz
        ]
        return [max(mhz) for mhz in sampled if mhz]

    ends = [clocks(number, -1) for number in range(rounds)]
    slowest = min(filter(None, ends), key=median, default=[])  # it may recover before the end
    return (clocks(0, 0) if rounds else []), slowest
