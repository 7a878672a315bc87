"""What to run on a device, from a benchmark that was made there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from digitkit.benchmark import stats
from digitkit.benchmark.report import threads
from digitkit.errors import GateError, ReportError
from digitkit.models.profiles import Profile

MAX_ACCURACY_DROP = 0.001
"""Accuracy that speed may cost unless something else is asked for: 0.1 points."""

WORTH = 0.95
"""A variant that asks for more (threads, a larger batch) must take at most this share of the time
of one that asks for less."""


def recommend(
    report: Mapping[str, Any],
    *,
    max_latency_ms: float | None = None,
    max_accuracy_drop: float | None = None,
) -> list[Profile]:
    """What to run on the machine of a report, one answer for each model that it has.

    Of the variants in ONNX Runtime that are accurate and quick enough, the fastest on one image
    decides precision and threads; more threads must be worth it. The batch is the one with most
    images a second, within the latency. Variants whose processes differ by more than the report's
    bound are passed over.

    Args:
        report: a report's JSON, as `digitkit.report.load` gives it.
        max_latency_ms: nine in ten runs (p90) take at most this; without it, any time.
        max_accuracy_drop: by how much accuracy, 0–1, may be under the most accurate variant's;
            `MAX_ACCURACY_DROP` if None, then counted from the most accurate that is quick enough.

    Raises:
        GateError: nothing is accurate and quick enough, the accuracy is not known, or no variant's
            processes agree.
        ReportError: it holds no figures of digitkit's own models in ONNX Runtime.
    """
    facts = {one["name"]: one for one in report["models"]}
    families: dict[str, list[Mapping[str, Any]]] = {}
    for variant in report["variants"]:
        precision = facts[variant["model"]]["precision"]
        if variant["error"] is None and variant["runtime"] == "onnxruntime" and precision:
            family = variant["model"].removesuffix(f"-{precision}")
            families.setdefault(family, []).append(variant | {"precision": precision})
    if not families:
        raise ReportError(
            "nothing can be recommended: no model of digitkit's own was measured in onnxruntime"
        )
    return [
        _recommended(family, variants, report, max_latency_ms, max_accuracy_drop)
        for family, variants in families.items()
    ]


def _recommended(
    family: str,
    variants: Sequence[Mapping[str, Any]],
    report: Mapping[str, Any],
    max_latency_ms: float | None,
    max_accuracy_drop: float | None,
) -> Profile:
    bound = report["settings"]["max_spread"]
    variants = [variant for variant in variants if variant["spread"] <= bound]
    if not variants:
        raise GateError(
            f"{family}: the processes of every variant differ by more than {bound:.0%}, so nothing "
            "can be recommended; stop other programs, or raise --max-spread"
        )
    smallest = min(variant["batch"] for variant in variants)
    single = [variant for variant in variants if variant["batch"] == smallest]
    limit = float("inf") if max_latency_ms is None else max_latency_ms * 1000
    quick = [variant for variant in single if variant["p90_us"] <= limit]
    if not quick:
        best = min(single, key=lambda variant: float(variant["p90_us"]))
        raise GateError(
            f"{family}: no variant answers within {max_latency_ms:g} ms nine times in ten; "
            f"{best['name']} is the nearest with {best['p90_us'] / 1000:.3g} ms"
        )
    known = [v["accuracy"] for v in single if v["accuracy"] is not None]
    fine = quick
    drop = MAX_ACCURACY_DROP if max_accuracy_drop is None else max_accuracy_drop
    if len(known) == len(single):
        reference = quick if max_accuracy_drop is None else single
        least = max(v["accuracy"] for v in reference) - drop
        fine = [v for v in quick if v["accuracy"] >= least - 1e-9]
        if not fine:
            raise GateError(
                f"{family}: nothing within {max_latency_ms:g} ms is as accurate as {least:.2%}"
            )
    elif max_accuracy_drop is not None:
        raise GateError(
            f"{family}: the accuracy of some variants is not known "
            f"({next(v['accuracy_note'] for v in single if v['accuracy'] is None)})"
        )
    fine = sorted(fine, key=lambda v: (v["threads"], -(v["accuracy"] or 0)))
    chosen = fine[0]
    for other in fine[1:]:
        if _worth(other, chosen, at_least=1.0 if other["threads"] == chosen["threads"] else WORTH):
            chosen = other
    rows = [
        v
        for v in variants
        if (v["precision"], v["threads"]) == (chosen["precision"], chosen["threads"])
        and v["p90_us"] <= limit
    ]
    bulk = chosen
    for other in sorted(rows, key=lambda v: int(v["batch"])):
        if other["images_per_second"] * WORTH > bulk["images_per_second"]:
            bulk = other
    names = {variant["model"] for variant in variants}
    files = [m for m in report["models"] if m["name"] in names]
    return Profile(
        model=family,
        precision=chosen["precision"],
        threads=chosen["threads"],
        batch=bulk["batch"] if len({v["batch"] for v in variants}) > 1 else None,
        p50_us=chosen["p50_us"],
        images_per_second=bulk["images_per_second"],
        accuracy=chosen["accuracy"],
        why=_why(chosen, bulk, single, fine),
        sha256={m["precision"]: m["sha256"] for m in files},
        onnxruntime=report["environment"]["versions"]["onnxruntime"],
        cpu=report["environment"]["machine"]["cpu"],
        created=report["created"],
    )


def _worth(other: Mapping[str, Any], chosen: Mapping[str, Any], at_least: float) -> bool:
    """Whether one variant is surely, and by enough, faster than another."""
    medians = [[p["p50_us"] for p in variant["processes"]] for variant in (other, chosen)]
    ratio = stats.ratio(*medians)
    return ratio.high < 1 and ratio.value <= at_least


def _why(
    chosen: Mapping[str, Any],
    bulk: Mapping[str, Any],
    single: Sequence[Mapping[str, Any]],
    fine: Sequence[Mapping[str, Any]],
) -> str:
    parts = []
    for other in single:
        same_threads = other["threads"] == chosen["threads"]
        if other["precision"] != chosen["precision"] and same_threads:
            parts.append(_against(chosen, other, chosen["precision"], other["precision"], fine))
        if other["precision"] == chosen["precision"] and not same_threads:
            names = (threads(chosen["threads"]), threads(other["threads"]))
            parts.append(_against(chosen, other, *names, fine))
    if bulk["batch"] > chosen["batch"]:
        parts.append(
            f"batches of {bulk['batch']} read {bulk['images_per_second']:,.0f} images a second, "
            f"batches of {chosen['batch']} {chosen['images_per_second']:,.0f}"
        )
    return "; ".join(parts) or "it is the only one that was measured"


def _against(
    chosen: Mapping[str, Any],
    other: Mapping[str, Any],
    name: str,
    other_name: str,
    fine: Sequence[Mapping[str, Any]],
) -> str:
    text = f"{name} takes {chosen['p50_us'] / other['p50_us']:.2f} times as long as {other_name}"
    if chosen["accuracy"] is not None and other["accuracy"] is not None:
        points = 100 * (chosen["accuracy"] - other["accuracy"])
        if round(points, 2):
            text += f" and is {abs(points):.2f} points {'more' if points > 0 else 'less'} accurate"
    return text if other in fine else f"{text} ({other_name} is too slow or not accurate enough)"
