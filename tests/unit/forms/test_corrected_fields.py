"""What a person says of a field, next to what is read in the others."""

import pytest
from support.forms import FIELDS, RULES, seen, sure, write_form

from digitkit.forms.fields.decide import Decision, decide
from digitkit.forms.fields.hypotheses import Hypotheses
from digitkit.forms.templates.template_file import load_template

DOUBTED = seen({7: 0.6, 1: 0.39}, {3: 0.9999}, {1: 0.9999})
FOUND = {"number": Hypotheses(), "a": DOUBTED, "b": sure("0269"), "total": sure("1000")}


@pytest.fixture
def decide_with(tmp_path):
    """Decides about a form of which a person says something."""

    def decided(fields: str = FIELDS, rules: str = RULES, found=FOUND, **texts: str):
        return decide(load_template(write_form(tmp_path, fields, rules)), found, texts)

    return decided


def of(decision: Decision) -> tuple[str, str]:
    return decision.text, decision.status


def test_a_confirmed_total_supports_its_summands(decide_with):
    decisions = decide_with(total="1000")
    assert [of(decisions[name]) for name in ("a", "b", "total")] == [
        ("731", "ok"), ("0269", "ok"), ("1000", "ok"),
    ]  # fmt: skip
    assert decisions["a"].confidence > 0.99
    assert decisions["total"].reasons == ("confirmed by hand",)
    assert len(decisions["total"].choice) == 4


def test_a_corrected_total_settles_a_summand(decide_with):
    decisions = decide_with(total="400")
    assert of(decisions["a"]) == ("131", "ok")
    assert of(decisions["total"]) == ("400", "ok")
    assert decisions["total"].reasons == ("corrected from 1000 by hand",)


def test_what_was_decided_before_is_what_is_corrected(decide_with):
    total = seen({1: 0.9999}, {0: 0.9999}, {8: 0.8, 0: 0.19}, {0: 0.9999})
    decisions = decide_with(found=FOUND | {"a": sure("731"), "total": total}, total="1000")
    assert decisions["total"].reasons == ("confirmed by hand",)


def test_an_empty_total_makes_its_rule_say_nothing(decide_with):
    decisions = decide_with(total="")
    assert of(decisions["total"]) == ("", "empty")
    assert decisions["total"].reasons == ("corrected from 1000 by hand",)
    assert decisions["a"].status == "doubtful"


def test_an_empty_required_field_leaves_the_others_doubtful(decide_with):
    required = FIELDS.replace('name = "a"', 'name = "a"\nrequired = true')
    decisions = decide_with(required, found=FOUND | {"total": sure("269")}, a="")
    assert of(decisions["a"]) == ("", "invalid")
    assert "is required, and empty" in decisions["a"].reasons
    assert decisions["total"].text == "269"


@pytest.mark.parametrize(
    ("name", "text", "status"),
    [
        ("number", "453217", "ok"), ("number", "453218", "invalid"), ("number", "45321", "invalid"),
        ("number", "0453217", "invalid"), ("b", "9", "ok"), ("b", "00009", "invalid"),
        ("b", "-9", "invalid"), ("a", "12,5", "invalid"), ("a", "123456789", "ok"),
    ],
)  # fmt: skip
def test_a_text_must_fit_its_field(decide_with, name, text, status):
    assert of(decide_with(rules="", **{name: text})[name]) == (text.replace(",", "."), status)


@pytest.mark.parametrize(
    ("text", "status"),
    [("0.05", "ok"), ("12,50", "ok"), ("12.5", "invalid"), ("1250", "invalid"),
     ("123.45", "invalid")],
)  # fmt: skip
def test_amounts_have_their_decimals(decide_with, text, status):
    fields = FIELDS.replace("decimals = 0", "decimals = 2", 1)
    assert of(decide_with(fields, "", b=text)["b"]) == (text.replace(",", "."), status)
