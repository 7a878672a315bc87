"""What a form says: the most probable reading that meets all that is known of its fields.

Each digit of a field is, independently of the others, what the classifier says with its
probability. Of the hypotheses about a field those that meet its pattern, checksum and limits are
kept; of their combinations over fields, those that meet the rules. The most probable one is taken.
Its confidence is its share of all that are kept, and of a further part for readings that meet the
constraints by chance although a digit was missed or is none.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice

from digitkit.forms.fields.hypotheses import Hypotheses, Segmentation
from digitkit.forms.results import Status
from digitkit.forms.templates.rules import Rule
from digitkit.forms.templates.template import FormField, Template, random_pass_rate
from digitkit.reading.confidence import format_confidence
from digitkit.reading.numbers.k_best import Option, k_best_choices

MAX_TRIED = 3000
"""Hypotheses about a field, and combinations over fields, that are tried."""

MAX_TEXTS = 100
"""Texts of a field that are kept, the most probable ones."""

MIN_TRIED_PROBABILITY = 1e-7
"""A less probable hypothesis is not tried."""

PASS_RATES = {"limits": 0.05, "checksum": 0.005, "rule": 2e-4}
"""By what a reading has to meet: which part of the others, if wrong, would meet it by chance. More
of them meet wide limits (`random_pass_rate`), and a rule of which the total has few digits: one in
ten if it has one."""

MIN_TRUSTED_CONFIDENCE = 0.9
"""Least confidence of a field that can be trusted, 0–1."""

MAX_DOUBTED_CONFIDENCE = 0.5
"""Most confidence of a field in which something cannot be read, or that breaks a rule."""

SURE_UNCHECKED = 0.98
"""Confidence below which a field is doubtful if one of its rules could not be checked, since
another field of the rule cannot be read."""


@dataclass(frozen=True)
class Candidate:
    """A reading of a field.

    Attributes:
        text: digits, and a decimal point in an amount.
        probability: of its digits, above 0.
        choice: which digit each slot with options is taken for.
        segmentation: which of the segmentations of its ink was taken.
    """

    text: str
    probability: float
    choice: tuple[int, ...] = ()
    segmentation: int = 0


@dataclass(frozen=True)
class Decision:
    """What was decided about a field.

    Attributes:
        text: digits, and a decimal point in an amount; "" for an empty field.
        status: whether it can be trusted.
        confidence: 0–1.
        reasons: why it is not ``ok``, or what was corrected.
        choice: as of a `Candidate`.
        segmentation: as of a `Candidate`.
    """

    text: str
    status: Status
    confidence: float
    reasons: tuple[str, ...] = ()
    choice: tuple[int, ...] = ()
    segmentation: int = 0


@dataclass(frozen=True)
class _FieldCandidates:
    """A field and its candidates."""

    field: FormField
    hypotheses: Hypotheses
    raw: Candidate
    fitting: tuple[Candidate, ...]
    given: Decision | None = None
    """What a person says; it stays so."""

    @property
    def total(self) -> float:
        """Probability of all candidates."""
        return min(1.0, sum(one.probability for one in self.fitting))


def _to_confidence(probability: float, total: float, chance: float) -> float:
    """Confidence of a reading, 0–1.

    Args:
        probability: of it.
        total: of all readings that are kept, with it.
        chance: share of all others, if wrong, that would be kept by chance.
    """
    return min(1.0, probability / max(total + chance * max(0.0, 1 - total), 1e-12))


def decide(
    template: Template, found: Mapping[str, Hypotheses], corrected: Mapping[str, str] | None = None
) -> dict[str, Decision]:
    """Decide what each field says.

    Args:
        template: the form.
        found: what is written in each field, by its name.
        corrected: what a person says is written in some of them, by their names.

    Raises:
        ConfigError: comparing a field with its pattern takes too long.
    """
    fields = {one.name: _list_candidates(one, found[one.name]) for one in template.fields}
    decisions = _decide_all(template.rules, fields)
    if not corrected:
        return decisions
    for name, text in corrected.items():
        fields[name] = _correct(fields[name], text, decisions[name].text)
    return _decide_all(template.rules, fields)


def _decide_all(
    rules: Sequence[Rule], fields: Mapping[str, _FieldCandidates]
) -> dict[str, Decision]:
    """What fields say by themselves and by their rules."""
    decisions = {name: one.given or _decide_alone(one) for name, one in fields.items()}
    # Nothing is said of an empty total.
    telling = [rule for rule in rules if not fields[rule.target].hypotheses.is_empty]
    for group in _groups(telling):
        decisions |= _decide_together(group, fields, decisions)
    return decisions


def _list_candidates(field: FormField, hypotheses: Hypotheses) -> _FieldCandidates:
    """The readings of a field that meet its own constraints."""
    if not hypotheses.segmentations:
        empty = Candidate("", 1.0)
        return _FieldCandidates(
            field, hypotheses, empty, (empty,) if hypotheses.is_empty and not field.required else ()
        )
    raw: Candidate | None = None
    kept, rejected = dict[str, Candidate](), set[str]()
    for candidate in islice(_candidates(field, hypotheses), MAX_TRIED):
        text = candidate.text
        raw = raw or candidate
        if known := kept.get(text):
            both = min(1.0, known.probability + candidate.probability)
            kept[text] = replace(known, probability=both)
        elif text not in rejected:
            if text and field.find_fault(text) is not None:
                rejected.add(text)
            else:
                kept[text] = candidate
        if len(kept) >= MAX_TEXTS:
            break
    assert raw is not None
    ordered = sorted(kept.values(), key=lambda each: -each.probability)
    return _FieldCandidates(field, hypotheses, raw, tuple(ordered))


def _candidates(field: FormField, hypotheses: Hypotheses) -> Iterator[Candidate]:
    """What a field may say, the likeliest first."""
    streams = [
        _of_segmentation(
            field,
            place,
            [slot.options for slot in segmentation.slots if slot.options],
            segmentation.share,
        )
        for place, segmentation in enumerate(hypotheses.segmentations)
    ]
    return heapq.merge(*streams, key=lambda each: -each.probability)


def _of_segmentation(
    field: FormField, segmentation: int, options: Sequence[Sequence[Option]], share: float
) -> Iterator[Candidate]:
    for number, (probability, choice) in enumerate(k_best_choices(options)):
        if number and probability * share < MIN_TRIED_PROBABILITY:
            return
        taken = [each[k].digit or 0 for each, k in zip(options, choice, strict=True)]
        yield Candidate(field.to_text(taken), probability * share, tuple(taken), segmentation)


def _separator_doubts(candidates: _FieldCandidates, candidate: Candidate) -> tuple[str, ...]:
    """What is wrong with the decimal separator of a free field."""
    if candidates.field.cells:
        return ()
    separators = candidates.hypotheses.segmentations[candidate.segmentation].separators
    places = {len(candidate.choice) - before for before in separators}
    if not candidates.field.decimals:
        return ("has a decimal separator",) if places else ()
    if not places:
        return ("no decimal separator was found",)
    return () if places == {candidates.field.decimals} else (_wrong_decimals(candidates.field),)


def _shows_scale(candidates: _FieldCandidates, candidate: Candidate) -> bool:
    """Whether a field tells where its decimal point is: by its cells, a separator, or a person."""
    if candidates.given or candidates.hypotheses.is_empty:
        return bool(candidate.text)
    return not _separator_doubts(candidates, candidate)


def _wrong_decimals(field: FormField) -> str:
    return f"does not have {field.decimals} decimals"


_MISSING = "is required, and empty"


def _decide_alone(candidates: _FieldCandidates) -> Decision:
    """What a field says by itself."""
    if candidates.hypotheses.is_empty:
        if candidates.field.required:
            return Decision("", "invalid", 1.0, (_MISSING,))
        return Decision("", "empty", 1.0)
    if not candidates.fitting:
        fault = candidates.field.find_fault(candidates.raw.text) if candidates.raw.text else None
        reasons = tuple(filter(None, (fault, *candidates.hypotheses.doubts)))
        status: Status = "invalid" if fault else "doubtful"
        return Decision(
            candidates.raw.text,
            status,
            0.0,
            reasons,
            candidates.raw.choice,
            candidates.raw.segmentation,
        )
    best = candidates.fitting[0]
    chance = PASS_RATES["checksum"]
    if not candidates.field.checksum:
        chance = max(PASS_RATES["limits"], random_pass_rate(candidates.field, len(best.choice)))
    confidence = _to_confidence(best.probability, candidates.total, chance)
    doubts = candidates.hypotheses.doubts + _separator_doubts(candidates, best)
    return _judge(candidates, best, confidence, doubts)


def _correct(candidates: _FieldCandidates, text: str, before: str) -> _FieldCandidates:
    """A field of which a person says what is written in it.

    Args:
        candidates: the field.
        text: what that is; "" for nothing.
        before: what was read.
    """
    text = text.replace(",", ".")
    fault = _MISSING if candidates.field.required else None
    if text:
        fault = _find_misfit(candidates.field, text) or candidates.field.find_fault(text)
    how = "confirmed" if text == before else f"corrected from {before or 'nothing'}"
    reasons = (f"{how} by hand", *([fault] if fault else []))
    known = next(
        (each for each in (candidates.raw, *candidates.fitting) if each.text == text), None
    )
    digits = tuple(map(int, filter(str.isdecimal, text)))
    own = replace(known, probability=1.0) if known else Candidate(text, 1.0, digits)
    status: Status = "ok" if text else "empty"
    given = Decision(text, status, 1.0, reasons)
    if known:
        given = replace(given, choice=own.choice, segmentation=own.segmentation)
    if fault:
        given = replace(given, status="invalid", confidence=MAX_DOUBTED_CONFIDENCE)
    hypotheses = Hypotheses(candidates.hypotheses.segmentations or (Segmentation(()),))
    return _FieldCandidates(
        candidates.field, hypotheses if text else Hypotheses(), own, () if fault else (own,), given
    )


def _find_misfit(field: FormField, text: str) -> str | None:
    """Why a text cannot be written in a field; None if it can."""
    whole, point, part = text.partition(".")
    if not (whole + part).isdecimal() or (point and not field.decimals):
        return "is not made of digits alone"
    if field.decimals and len(part) != field.decimals:
        return _wrong_decimals(field)
    count, cells = len(whole + part), len(field.cells)
    may_be_short = field.is_quantity or field.pattern is not None
    if cells and (
        count > max(cells, (field.decimals or 0) + 1) or (count < cells and not may_be_short)
    ):
        return f"has {count} digits, the field {cells} cells"
    return None


def _judge(
    candidates: _FieldCandidates, best: Candidate, confidence: float, doubts: tuple[str, ...]
) -> Decision:
    reasons = doubts
    if best.text != candidates.raw.text:
        reasons = (f"read as {best.text} instead of {candidates.raw.text}", *doubts)
    status: Status = "ok" if confidence >= MIN_TRUSTED_CONFIDENCE and not doubts else "doubtful"
    if doubts:
        # Something is missing, however sure the rest is.
        confidence = min(confidence, MAX_DOUBTED_CONFIDENCE)
    if status == "doubtful" and not doubts:
        reasons = (*reasons, f"a digit is doubtful ({format_confidence(confidence, 0)})")
    return Decision(best.text, status, confidence, reasons, best.choice, best.segmentation)


# --- rules across fields ---


def _groups(rules: Sequence[Rule]) -> list[list[Rule]]:
    """Rules that share fields, together."""
    groups: list[tuple[set[str], list[Rule]]] = []
    for rule in rules:
        names, members = set(rule.fields), [rule]
        apart = []
        for other, others in groups:
            if names & other:
                names |= other
                members = others + members
            else:
                apart.append((other, others))
        groups = [*apart, (names, members)]
    return [members for _, members in groups]


def _holds(rules: Sequence[Rule], texts: Mapping[str, str]) -> bool:
    """Whether texts meet the rules; an empty field is 0, and nothing is said of an empty total."""
    values = {name: Decimal(text or "0") for name, text in texts.items()}
    return all(not texts[rule.target] or rule.holds(values) for rule in rules)


def _decide_together(
    rules: Sequence[Rule], fields: Mapping[str, _FieldCandidates], alone: Mapping[str, Decision]
) -> dict[str, Decision]:
    """What the fields of some rules say."""
    names = list(dict.fromkeys(name for rule in rules for name in rule.fields))
    members = [fields[name] for name in names]
    options = [one.fitting for one in members]
    fits: list[tuple[float, list[Candidate]]] = []
    if all(options):
        for probability, choice in islice(k_best_choices(options), MAX_TRIED):
            if probability < MIN_TRIED_PROBABILITY * 1e-3 or (
                fits and probability < fits[0][0] * 1e-4
            ):
                break
            chosen = [each[k] for each, k in zip(options, choice, strict=True)]
            if _holds(rules, {n: c.text for n, c in zip(names, chosen, strict=True)}):
                fits.append((probability, chosen))
    if not fits:
        return _explain_broken(rules, {name: fields[name] for name in names}, alone)
    total, decisions = sum(probability for probability, _ in fits), {}
    best = fits[0][1]
    shortest = min(len(best[names.index(rule.target)].choice) for rule in rules)
    chance = max(PASS_RATES["rule"], 0.1**shortest)
    # One field that shows where the point is tells it of all; a sum of others holds as well if
    # all of them are a hundred times as large.
    has_scale = any(map(_shows_scale, members, best))
    for place, (name, one) in enumerate(zip(names, members, strict=True)):
        if one.hypotheses.is_empty or one.given:
            continue
        text = best[place].text
        same = sum(probability for probability, chosen in fits if chosen[place].text == text)
        confidence = _to_confidence(same, total, chance)
        doubts = one.hypotheses.doubts
        if not has_scale:
            doubts += _separator_doubts(one, best[place])
        decisions[name] = _judge(one, best[place], confidence, doubts)
    return decisions


def _explain_broken(
    rules: Sequence[Rule], fields: Mapping[str, _FieldCandidates], alone: Mapping[str, Decision]
) -> dict[str, Decision]:
    """No combination meets the rules: all fields are invalid, unless some cannot be read anyway."""
    broken = ", ".join(map(str, rules))
    unread = [name for name in fields if alone[name].status not in ("ok", "empty")]
    decisions = {}
    for name in fields:
        known = alone[name]
        if not unread and known.status != "empty":
            decisions[name] = replace(
                known, status="invalid", confidence=min(known.confidence, MAX_DOUBTED_CONFIDENCE),
                reasons=(*known.reasons, f"breaks the rule {broken}"),
            )  # fmt: skip
        elif name in unread or (known.status == "ok" and known.confidence < SURE_UNCHECKED):
            decisions[name] = replace(
                known, status="doubtful" if known.status == "ok" else known.status,
                reasons=(*known.reasons, f"the rule {broken} could not be checked"),
            )  # fmt: skip
    return decisions
