"""Templates: what they say, and what is refused."""

from decimal import Decimal

import pytest
from support.errors import error_of
from support.forms import FIELDS, RULES, blank_form, save, write_form

from digitkit.errors import ConfigError, InputNotFoundError, TemplateError
from digitkit.forms.templates.checksums import CHECKSUMS, load_checksum
from digitkit.forms.templates.rules import make_rule
from digitkit.forms.templates.template import FormField, random_pass_rate
from digitkit.forms.templates.template_file import load_template, load_templates, template_text

ONE = '[[field]]\nname = "a"\nbox = [60, 320, 200, 48]\n'


def test_a_template_has_fields_rules_and_its_reference(tmp_path):
    template = load_template(write_form(tmp_path))
    assert [one.name for one in template.fields] == ["number", "a", "b", "total"]
    assert template.fields[0].cells[1] == (100.0, 40.0)
    assert template.fields[0].checksum == "luhn"
    assert template.rules[0].fields == ("total", "a", "b")
    assert template.reference.shape == (877, 620)


@pytest.mark.parametrize(
    ("fields", "rules", "said"),
    [
        ("", "", "field"),
        (ONE + ONE, "", "another column 'a', that of field 'a'; choose"),
        (ONE + ONE.replace('"a"', '"a_status"'), "", "another column"),
        (ONE.replace('"a"', '"source"'), "", "another column 'source', which every table has"),
        (ONE.replace('"a"', '"a b"'), "", "a name is"),
        (ONE.replace("[60, 320, 200, 48]", "[600, 320, 200, 48]"), "", "outside the picture"),
        (ONE.replace("[60, 320, 200, 48]", "[-1, 320, 200, 48]"), "", "must have a place"),
        (ONE.replace("[60, 320, 200, 48]", "[nan, 320, 200, 48]"), "", "numbers of pixels"),
        (ONE.replace("[60, 320, 200, 48]", "[inf, 320, 200, 48]"), "", "numbers of pixels"),
        (ONE.replace("[60, 320, 200, 48]", "[60, 320, 200]"), "", "field 'a': "),
        (ONE + "cells = 0", "", "cells must be 1 to"),
        (ONE + "cells = 1000000000", "", "cells must be 1 to"),
        (ONE + "cells = 49", "", None),
        (ONE + "cells = [[60, 20], [70, 20]]", "", "from left to right"),
        (ONE + "cells = [[900, 20]]", "", "in the box, 60 to 260, from left"),
        (ONE + "pattern = '(1'", "", "not a regular expression"),
        (ONE + "pattern = '(\\d{9999}){9999}'", "", "elements"),
        (ONE + 'checksum = "os:system"', "", "must be one of luhn"),
        (ONE + "min = 3\nmax = 2", "", "min must not be above max"),
        (ONE + "min = nan", "", "must be numbers"),
        (ONE + "max = 1000000000000000", "", "must be numbers below 1e+15, got 1e+15"),
        (ONE + "max = -5", "", "max must be at least 0"),
        (ONE + "cells = 3\nmin = 1000", "", "min must be at most 999"),
        (ONE + "cells = 3\ndecimals = 2\nmin = 10", "", "min must be at most 9.99"),
        (ONE + 'cells = 10\nchecksum = "ean13"', "", "cells must be 13 for the checksum ean13"),
        (ONE + 'cells = 13\nchecksum = "isbn10"', "", "cells must be 10 for the checksum isbn10"),
        (ONE + "decimals = 2\npattern = '\\d+,\\d\\d'", "", "pattern has a comma"),
        (ONE + "pattern = '\\d+\\.\\d\\d'", "", "pattern has a point"),
        (ONE + "decimals = 2\npattern = '\\d{1,3}[.,]\\d\\d'", "", None),
        (ONE + "decimals = 2\npattern = '\\d+\\.\\d\\d'", "", None),
        (ONE + 'cells = 20\nchecksum = "ean13"\npattern = "[0-9]{13}"', "", None),
        (ONE + "cells = [0, 20]", "", "the width of each, [[x, width], …]"),
        (ONE + "decimals = 99", "", "decimals must be 0 to"),
        (ONE + "cels = 3", "", "unknown key cels; did you mean cells?"),
        (ONE + 'required = "yes"', "", "field 'a': required must be true or false, got 'yes'"),
        (ONE, '[rules]\na = "a"', "cycle: a -> a"),
        (FIELDS, '[rules]\na = "b"\nb = "total + 1"\ntotal = "a"', "cycle: a -> b -> total -> a"),
        (FIELDS, '[rules]\na = "c"', "no field 'c'"),
        (FIELDS, '[rules]\nc = "a"', "no field 'c'"),
        (FIELDS, '[rules]\na = "b ** 99999"', "may have"),
        (FIELDS, '[rules]\na = "__import__(b)"', "may have"),
        (FIELDS, '[rules]\na = "1 + 2"', "has no field"),
        (FIELDS, '[rules]\na = "b +"', "not an expression"),
        (FIELDS, '[rules]\na = "b * 1e999"', "must be below"),
        (ONE.replace('"a"', '"if"'), "", "reserved word"),
        (FIELDS, f'[rules]\na = "{"(" * 200}b"', "not an expression"),
        (FIELDS, f'[rules]\na = "{"-" * 600}b"', "more than 500"),
        (FIELDS, "[rules", "not valid TOML"),
    ],
)  # fmt: skip
def test_what_a_template_must_not_say(tmp_path, fields, rules, said):
    path = write_form(tmp_path, fields, rules)
    if said is None:
        assert load_template(path)
        return
    error = error_of(TemplateError, load_template, path)
    assert str(error).startswith(f"{path}: ")
    assert said in str(error)
    assert "\n" not in str(error)


def test_many_fields_are_refused(tmp_path):
    many = "".join(ONE.replace('"a"', f'"f{i}"') for i in range(501))
    assert "1 to 500" in str(error_of(TemplateError, load_template, write_form(tmp_path, many, "")))


def test_a_long_chain_of_rules_is_no_cycle(tmp_path):
    fields = "".join(ONE.replace('"a"', f'"f{i}"') for i in range(400))
    rules = "[rules]\n" + "".join(f'f{i} = "f{i + 1}"\n' for i in range(399))
    assert len(load_template(write_form(tmp_path, fields, rules)).rules) == 399


def test_the_reference_must_be_the_picture_that_was_marked(tmp_path):
    path = write_form(tmp_path)
    save(tmp_path / "form.png", blank_form(1))
    error = error_of(TemplateError, load_template, path)
    assert "not the picture" in error.problem
    assert "sha256 = " in (error.hint or "")
    (tmp_path / "form.png").unlink()
    assert "reference" in error_of(TemplateError, load_template, path).problem


@pytest.mark.parametrize("name", ["../form.png", "/etc/hosts", "", "..", "sub/form.png"])
def test_the_reference_is_beside_the_template(tmp_path, name):
    path = write_form(tmp_path)
    text = path.read_text("utf-8").replace('"form.png"', f'"{name}"')
    path.write_text(text, "utf-8")
    assert "beside the template" in error_of(TemplateError, load_template, path).problem


def test_a_template_that_cannot_be_read(tmp_path):
    error_of(InputNotFoundError, load_template, tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in error_of(TemplateError, load_template, tmp_path / "bad.toml").problem
    (tmp_path / "large.toml").write_bytes(b"#" * (1 << 19))
    error_of(TemplateError, load_template, tmp_path / "large.toml")


def test_a_template_may_begin_with_a_byte_order_mark(tmp_path):
    path = write_form(tmp_path)
    expected = load_template(path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load_template(path).fields == expected.fields


def test_a_written_template_is_read_as_it_was(tmp_path):
    template = load_template(write_form(tmp_path))
    plain = tuple(FormField(one.name, one.box, one.cells) for one in template.fields)
    text = (tmp_path / "form.toml").read_text("utf-8")
    digest = text.split('sha256 = "')[1][:64]
    again = tmp_path / "again.toml"
    again.write_text(template_text(plain, "form.png", digest, (620, 877)), "utf-8")
    assert load_template(again).fields == plain


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("luhn", "79927398713", "79927398710"),
        ("mod11", "1234567892", "1234567893"),
        ("mod97", "3214282912345698765432161182", "3214282912345698765432161183"),
        ("isbn10", "0306406152", "0306406153"),
        ("ean13", "4006381333931", "4006381333932"),
    ],
)
def test_checksums(name, right, wrong):
    assert CHECKSUMS[name](right)
    assert not CHECKSUMS[name](wrong)


def test_a_checksum_of_the_users_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_sums.py").write_text("def even(text): return int(text) % 2 == 0\nX = 3\n")
    even = load_checksum("own_sums:even")
    (template,) = load_templates([write_form(tmp_path)], {"a": even})
    assert template.fields[1].find_fault("12") is None
    assert "checksum" in template.fields[1].find_fault("13")
    (tmp_path / "own_script.py").write_text("import sys\nsys.exit()\n")
    assert "SystemExit" in error_of(ConfigError, load_checksum, "own_script:even").problem
    (tmp_path / "own_path.py").write_text("import sys\nsys.path.pop(0)\ndef f(text): sys.exit(3)\n")
    (template,) = load_templates([write_form(tmp_path)], {"a": load_checksum("own_path:f")})
    assert "failed on 12: 3" in error_of(ConfigError, template.fields[1].find_fault, "12").problem
    for text in ("own_sums", "own_sums:", ":even", "own_sums:odd", "own_sums:X", "no_module:f"):
        assert error_of(ConfigError, load_checksum, text).field == "checksum"
    error = error_of(ConfigError, load_templates, [template], {"a": even, "x": even})
    assert error.field == "checksum"


def test_faults_of_a_field():
    amount = FormField("x", (0, 0, 9, 9), minimum=Decimal(1), maximum=Decimal("9.5"), decimals=2)
    assert amount.find_fault("9.50") is None
    assert amount.find_fault("0.99") == "is less than 1"
    assert amount.find_fault("9.51") == "is more than 9.5"


def test_a_rule_is_exact_and_knows_only_arithmetic():
    rule = make_rule("c", "2 * (a - b) + 0.1", ["a", "b", "c"])
    assert rule.evaluate({"a": Decimal("0.3"), "b": Decimal("0.1")}) == Decimal("0.5")
    assert RULES.strip().endswith('"a + b"')


def test_a_product_that_no_field_can_have_breaks_its_rule():
    rule = make_rule("c", "*".join("a" * 45), ["a", "c"])
    assert not rule.holds({"a": Decimal(10**10), "c": Decimal(0)})
    assert rule.holds({"a": Decimal(1), "c": Decimal(1)})


@pytest.mark.parametrize(
    ("options", "count", "least", "most"),
    [
        ({}, 3, 1, 1),
        ({"minimum": Decimal(0)}, 3, 1, 1),
        ({"minimum": Decimal(1), "maximum": Decimal(20)}, 2, 0.1, 0.3),
        ({"minimum": Decimal(1), "maximum": Decimal(20)}, 4, 0, 0.02),
        ({"pattern": r"[1-9]\d*"}, 5, 0.85, 0.95),
        ({"decimals": 2, "maximum": Decimal("4.99")}, 3, 0.4, 0.6),
        ({"minimum": Decimal(1)}, 0, 1, 1),
    ],
)
def test_how_much_constraints_exclude(options, count, least, most):
    assert least <= random_pass_rate(FormField("x", (0, 0, 9, 9), **options), count) <= most


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('cells = "8"', "cells must be a whole number, or the left side and the width of each,"),
        ("cells = [[0, 20, 30]]", "cells must be a whole number, or the left side and"),
        ('min = "1"', "min must be a number, got '1'"),
        ("decimals = 1.5", "decimals must be a whole number, got 1.5"),
        ("pattern = 4", "pattern must be text in quotes, got 4"),
    ],
)
def test_a_value_of_another_type_is_said_with_its_field(tmp_path, line, problem):
    path = write_form(tmp_path, f"{ONE}{line}\n", "")
    assert f"field 'a': {problem}" in error_of(TemplateError, load_template, path).problem


def test_values_of_a_template_that_are_missing_or_of_another_type(tmp_path):
    def problem(text: str) -> str:
        (tmp_path / "form.toml").write_text(text, "utf-8")
        return str(error_of(TemplateError, load_template, tmp_path / "form.toml"))

    assert "reference is missing; create one with digitkit form new" in problem("")
    assert problem('reference = "a.png"').endswith("form.toml: sha256 is missing")
    head = 'reference = "a.png"\nsha256 = "0"\n'
    assert "size must be two whole numbers, [width, height], got [5]" in problem(
        f"{head}size = [5]"
    )
    head += "size = [5, 5]\n"
    assert "field must be tables, each under [[field]], got [3]" in problem(f"{head}field = [3]")
    assert "field 'b': box is missing" in problem(f'{head}[[field]]\nname = "b"')
    assert 'rules must be a table of texts, such as total = "a + b"' in problem(
        f"{head}[rules]\ntotal = 3"
    )


def test_what_is_no_template_or_no_function_is_refused(tmp_path):
    path = write_form(tmp_path)
    assert error_of(ConfigError, load_templates, [[path]], {}).field == "templates"
    error = error_of(ConfigError, load_templates, [path], {"number": 3})
    assert (error.field, error.problem) == ("checksums", "must be functions, got 3 for 'number'")
