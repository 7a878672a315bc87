"""Whether a measurement is valid: throttling, falling clocks, other load."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from digitkit.system.conditions import HOT_C, THROTTLE_FLAGS, Conditions, throttle_words
from digitkit.system.machine import Machine

BUSY_LOAD = 0.5
"""A one-minute load per usable core above which a benchmark should not begin."""

BUSY_SHARE = 0.1
"""The share of the machine's CPU time above which other processes make a measurement noisy."""

FREQUENCY_FALL = 0.05
"""A clock that falls by more than this share during a benchmark makes it invalid."""


def warnings_before(machine: Machine, conditions: Conditions) -> list[str]:
    """What speaks against beginning a benchmark now, one line each, with what to do about it."""
    found = []
    if "powersave" in (conditions.governor or "").split("/"):
        found.append(
            "the governor powersave may hold the clock down: echo performance | sudo tee "
            "/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
    load = conditions.load_1m
    if load is not None and load > BUSY_LOAD * machine.usable_cores:
        found.append(
            f"the machine is busy (load {load:.1f}, usable cores: {machine.usable_cores}): "
            "stop other programs, or wait"
        )
    now = (conditions.throttled or 0) & 0xF
    if now:
        remedy = "a better power supply or cable helps" if now & 1 else "let it cool down"
        found.append(f"the board reports {', '.join(throttle_words(now))}: {remedy}")
    heat = conditions.temperature_c
    if heat is not None and heat > HOT_C:
        found.append(f"the processor is at {heat:.0f} °C: let it cool down, or cool it better")
    return found


def frequency_fall(first: Sequence[float], last: Sequence[float]) -> float:
    """By which share the median clock fell, 0 to 1; 0 if it rose, or where a sample is empty.

    Args:
        first: clocks of the cores, MHz, as `frequencies` gave them under load soon after the start.
        last: the same just before the end, still under load.
    """
    if not first or not last:
        return 0.0
    return max(0.0, 1 - median(last) / median(first))


def others_share(before: Conditions, after: Conditions) -> float | None:
    """The share of the machine's CPU time that other processes used between two moments.

    None if unknown, or if less than half a second of CPU time passed: ticks are 10 ms.
    """
    if before.cpu_seconds is None or after.cpu_seconds is None:
        return None
    pairs = zip(before.cpu_seconds, after.cpu_seconds, strict=True)
    others, total = (end - begin for begin, end in pairs)
    return max(0.0, others / total) if total >= 0.5 else None


def judge(
    machine: Machine,
    before: Conditions,
    after: Conditions,
    first: Sequence[float] = (),
    last: Sequence[float] = (),
) -> tuple[list[str], list[str]]:
    """Whether what was measured between two moments may be believed.

    Invalid is a run that a board throttled: a bit was active at either moment, or its "since boot"
    bit is new (one that was set before tells nothing more, but the clock does); or whose clock
    fell by more than `FREQUENCY_FALL`. Noisy is one during which others used more than `BUSY_SHARE`
    of the CPU time or, where that is unknown, that began with more load than `BUSY_LOAD`.

    Args:
        machine: what it ran on.
        before: read before the run.
        after: read after it.
        first: as for `frequency_fall`; `before` and `after` see idle clocks.
        last: likewise.

    Returns:
        The reasons why it is invalid, and those why it is noisy, one line each.
    """
    invalid, noisy = [], []
    if after.throttled is not None:
        was = after.throttled if before.throttled is None else before.throttled
        bits = (after.throttled | was) & 0xF | (after.throttled & ~was) >> 16 & 0xF
        invalid = [
            f"{word} during the run" for bit, word in enumerate(THROTTLE_FLAGS) if bits >> bit & 1
        ]
    fall = frequency_fall(first, last)
    if fall > FREQUENCY_FALL:
        invalid.append(
            f"the clock fell by {fall:.0%} during the run, "
            f"from {median(first):.0f} to {median(last):.0f} MHz"
        )
    share = others_share(before, after)
    if share is not None:
        if share > BUSY_SHARE:
            noisy.append(f"other processes used {share:.0%} of the CPU time during the run")
    elif before.load_1m is not None and before.load_1m > BUSY_LOAD * machine.usable_cores:
        noisy.append(f"the machine was busy when the run began (load {before.load_1m:.1f})")
    return invalid, noisy
