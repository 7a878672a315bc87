"""Reading forms: fields, rules across them, several templates."""

from dataclasses import replace

import numpy as np
import pytest
from support.errors import error_of
from support.forms import (
    FIELDS,
    WRITTEN,
    blank_form,
    fill_form,
    put_digit,
    save,
    seen,
    sure,
    write_form,
)

import digitkit
from digitkit import Form
from digitkit.errors import ConfigError, FormError, TemplateError
from digitkit.forms.fields.decide import decide
from digitkit.forms.fields.hypotheses import Hypotheses
from digitkit.forms.templates import template_file as template_module
from digitkit.forms.templates.template import FormField
from digitkit.forms.templates.template_file import load_template, template_text
from digitkit.images.cv import cv2
from digitkit.sources.frames import Failure
from digitkit.system.hashes import file_sha256
from digitkit.training.scenes.fonts import load_fonts


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("form")


@pytest.fixture(scope="module")
def form(folder) -> Form:
    return Form(write_form(folder))


def test_a_form_is_read(form, one_of_each, tmp_path):
    path = save(tmp_path / "scan.png", fill_form(one_of_each))
    reading = form.read(path)
    assert reading.values == WRITTEN
    assert {one.status for one in reading.fields} == {"ok"}
    assert reading.complete
    assert (reading.template, reading.method, reading.source) == ("form", "print", str(path))
    number = reading["number"]
    assert list(reading) == list(WRITTEN)
    assert "number" in reading
    assert "nothing" not in reading
    assert [digit.digit for digit in number.digits] == [4, 5, 3, 2, 1, 7]
    # In the picture's own coordinates.
    x, y, w, h = number.digits[0].box
    assert 60 <= x < x + w <= 104
    assert 196 <= y < y + h <= 248
    assert form.read([path, path]) == [reading, reading]


@pytest.mark.parametrize("wider", [1.5, 2.1])
def test_a_digit_that_is_much_wider_than_high_is_read(form, one_of_each, wider):
    page = fill_form(one_of_each, WRITTEN | {"a": ""})
    x, y, w, h = cv2.boundingRect((one_of_each[2] > 64).astype(np.uint8))
    size = round(wider * 26), 26
    ink = cv2.resize(one_of_each[2][y : y + h, x : x + w], size, interpolation=cv2.INTER_CUBIC)
    place = page[332 : 332 + size[1], 80 : 80 + size[0]]
    np.minimum(place, 255 - ink, out=place)
    assert form.read(page)["a"].text == "2"


def pale_slip() -> np.ndarray:
    """A payment slip in pale print."""
    page = np.full((620, 1240), 255, np.uint8)
    cv2.putText(page, "Payment order", (60, 60), cv2.FONT_HERSHEY_SIMPLEX, 1, 200, 2, cv2.LINE_AA)
    rows = ("Payee, name, company", "IBAN of the payee", "Bank code", "Reference", "Date")
    for row, (text, cells) in enumerate(zip(rows, (1, 22, 11, 15, 8), strict=True)):
        y = 110 + 100 * row
        place = (60, y - 8)
        cv2.putText(page, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 200, 1, cv2.LINE_AA)
        for x in range(60, 60 + 38 * cells, 38):
            cv2.rectangle(page, (x, y), (x + 38, y + 46), 200, 1)
    return page


@pytest.mark.parametrize(("brightness", "seed"), [(0.6, 0), (0.6, 2), (0.3, 0), (0.3, 1)])
def test_a_pale_form_is_found_in_a_dim_photo(tmp_path, brightness, seed):
    picture = save(tmp_path / "slip.png", pale_slip())
    field = FormField("date", (60, 510, 304, 46))
    text = template_text((field,), picture.name, file_sha256(picture), (1240, 620))
    (tmp_path / "slip.toml").write_text(text, "utf-8")
    turn = np.array([[1.1, 0.077, 160], [-0.055, 1.1, 400], [6e-5, -4e-5, 1]])
    photo = cv2.warpPerspective(
        pale_slip(), turn, (2000, 1500), flags=cv2.INTER_AREA, borderValue=90
    )
    photo = brightness * cv2.GaussianBlur(photo, (0, 0), 0.8)
    photo += np.random.default_rng(seed).normal(0, 1.5, photo.shape)
    reading = Form(tmp_path / "slip.toml").read(photo.clip(0, 255).astype(np.uint8))
    assert reading.score > 0.9
    assert reading["date"].text == ""


def test_boxes_are_those_of_a_picture_upside_down(form, one_of_each):
    page = np.ascontiguousarray(np.rot90(fill_form(one_of_each), 2))
    reading = form.read(cv2.resize(page, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC))
    assert reading.values == WRITTEN
    x, y, w, _ = reading["number"].box
    assert abs(x - 2 * (620 - 300)) < 4
    assert abs(y - 2 * (877 - 244)) < 4
    assert abs(w - 480) < 6


def test_a_blank_form_is_empty(form):
    reading = form.read(blank_form())
    assert set(reading.values.values()) == {""}
    assert {one.status for one in reading.fields} == {"empty"}
    assert reading.complete


def test_required_fields_must_not_be_empty(folder):
    fields = FIELDS.replace('name = "a"', 'name = "a"\nrequired = true')
    reading = Form(write_form(folder / "required", fields)).read(blank_form())
    assert reading["a"].status == "invalid"
    assert "required" in reading["a"].reasons[0]
    assert reading["a"].crop is not None


def test_a_broken_rule_makes_all_its_fields_invalid(form, one_of_each):
    reading = form.read(fill_form(one_of_each, WRITTEN | {"total": "1234"}))
    assert [reading[name].status for name in ("a", "b", "total")] == ["invalid"] * 3
    assert "total = a + b" in reading["total"].reasons[-1]
    assert reading["number"].status == "ok"


def test_an_empty_cell_inside_is_doubtful(form, one_of_each):
    page = fill_form(one_of_each)
    page[200:245, 140:181] = blank_form()[200:245, 140:181]  # the third cell
    assert form.read(page)["number"].status != "ok"


def test_a_field_that_the_picture_cuts_is_doubtful(form, one_of_each):
    page = fill_form(one_of_each)
    whole = form.read(page[:, 50:])
    assert whole.values == WRITTEN
    assert whole.complete
    cut = form.read(page[:, 110:])  # its first digit is not there
    assert (cut["number"].text, cut["number"].status) == ("", "doubtful")
    assert cut["number"].reasons == ("is not completely in the picture",)
    assert cut["b"].text == "269"
    below = form.read(page[:430])  # nothing is written that it shows
    assert below["total"].status == "doubtful"


def test_a_field_of_another_version_of_the_form_is_doubtful(form, one_of_each):
    page = blank_form()
    page[315:370, 335:525] = 255  # where the template has a comb
    reading = form.read(fill_form(one_of_each, page=page))
    assert reading["b"].status == "doubtful"
    assert "the print around it is not the template's" in reading["b"].reasons
    assert reading["number"].status == "ok"


def test_why_a_form_cannot_be_read(form, one_of_each):
    page = fill_form(one_of_each)
    xs, ys = np.meshgrid(*(np.arange(side, dtype=np.float32) for side in page.shape[::-1]))
    waves = 6 * np.sin(6 * np.pi * xs / page.shape[1])
    waved = cv2.remap(page, xs, ys + waves, cv2.INTER_LINEAR, borderValue=255)
    with pytest.raises(FormError, match="'form' was not found well enough: ") as caught:
        form.read(waved)
    assert "flat" in caught.value.hint


def test_other_pictures_are_errors(form, tmp_path):
    other = save(tmp_path / "other.png", blank_form(1))
    assert error_of(FormError, form.read, other).subject == str(other)
    error_of(FormError, form.read, np.zeros((300, 300, 3), np.uint8))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    outcomes = list(form.stream([blank_form(2), bad, blank_form()]))
    assert [isinstance(each, Failure) for each in outcomes] == [True, True, False]


def test_the_template_that_matches_is_taken(folder, one_of_each):
    other = '[[field]]\nname = "x"\nbox = [60, 320, 100, 48]\n'
    paths = [
        write_form(folder / "several", other, "", name="claim", other=1),
        write_form(folder / "several", name="order"),
    ]
    form = Form(*paths)
    assert form.read(fill_form(one_of_each)).template == "order"
    assert form.read(blank_form(1)).template == "claim"
    error_of(FormError, form.read, blank_form(2))


def move_comb(page: np.ndarray) -> np.ndarray:
    """A version of the blank form whose field `b` is 30 pixels lower."""
    page = page.copy()
    comb = page[315:370, 335:525].copy()
    page[315:370, 335:525] = 255
    page[345:400, 335:525] = comb
    return page


def lower_scores(form: Form, by: tuple[float, ...], monkeypatch) -> None:
    """Let the registrations of each template have a lower score."""
    for known, less in zip(form._known, by, strict=True):
        register = known.registrar.register

        def worse(picture, kinds, register=register, less=less):
            found = register(picture, kinds)
            return found and replace(found, score=found.score - less)

        monkeypatch.setattr(known.registrar, "register", worse)


def test_of_two_versions_that_is_taken_whose_fields_are_there(folder, one_of_each, monkeypatch):
    """Also where the other one's print, away from the fields, is found as well or better."""
    old = write_form(folder / "versions", rules="", name="old")
    fields = FIELDS.replace("[340, 320, 180, 44]", "[340, 350, 180, 44]")
    new = write_form(folder / "versions", fields, "", name="new")
    picture = new.with_suffix(".png")
    save(picture, move_comb(blank_form()))
    new.write_text(
        new.read_text("utf-8").replace(file_sha256(old.with_suffix(".png")), file_sha256(picture)),
        "utf-8",
    )
    for paths in ((old, new), (new, old)):
        form = Form(*paths)
        lower_scores(form, (0, 0.01), monkeypatch)  # noise decides which one is higher
        assert form.read(fill_form(one_of_each)).template == "old"
        page = fill_form(one_of_each, {"number": WRITTEN["number"]}, move_comb(blank_form()))
        assert form.read(page).template == "new"


def test_of_templates_whose_fields_are_seen_alike_the_better_one_is_taken(
    folder, one_of_each, monkeypatch
):
    """And of one template, the registration that is in place."""
    paths = [write_form(folder / name, rules="", name=name) for name in ("first", "second")]
    form = Form(*paths)
    lower_scores(form, (0.02, 0), monkeypatch)
    assert form.read(fill_form(one_of_each)).template == "second"

    alone = Form(paths[0])
    (known,) = alone._known
    (register, rounds) = known.registrar.register, []

    def loose_first(picture, kinds):
        found = register(picture, kinds)
        rounds.append(kinds)
        loose = {"residual": 1.5 * found.limit, "least_found": 1.0} if len(rounds) == 1 else {}
        return replace(found, **loose)

    monkeypatch.setattr(known.registrar, "register", loose_first)
    assert alone.read(fill_form(one_of_each)).residual < 1
    assert len(rounds) == 2


def test_what_a_form_is_made_of(folder, tmp_path):
    assert error_of(ConfigError, Form).field == "form"
    checksums = {"nothing": lambda text: True}
    assert error_of(ConfigError, Form, write_form(folder), checksums=checksums).field == "checksum"
    error = error_of(ConfigError, Form, write_form(folder), checksums="luhn")
    assert str(error) == "checksums must be functions by the name of a field, got 'luhn'"
    template = load_template(write_form(folder))
    blank = replace(template, reference=np.full_like(template.reference, 255))
    error_of(TemplateError, Form, blank)
    assert digitkit.Form is Form


# --- decisions ---


def test_a_checksum_corrects_a_digit(folder):
    template = load_template(write_form(folder))
    found = {"a": Hypotheses(), "b": Hypotheses(), "total": Hypotheses()}
    digits = [{int(d): 0.999} for d in "45321"]
    decision = decide(template, found | {"number": seen(*digits, {2: 0.6, 7: 0.39})})["number"]
    assert (decision.text, decision.status) == ("453217", "ok")
    assert "453212" in decision.reasons[0]
    # Two corrections that are about as likely.
    decision = decide(
        template,
        found | {"number": seen(*digits[:4], {1: 0.98, 6: 0.01}, {2: 0.98, 7: 0.01})},
    )["number"]
    assert decision.status == "doubtful"


def test_a_sum_corrects_a_digit_and_says_so(folder):
    template = load_template(write_form(folder))
    found = {"number": Hypotheses(), "a": sure("731"), "b": sure("269")}
    total = seen({1: 0.9999}, {0: 0.9999}, {8: 0.8, 0: 0.19}, {0: 0.9999})
    decisions = decide(template, found | {"total": total})
    assert decisions["total"].text == "1000"
    assert decisions["total"].status == "ok"
    assert "1080" in decisions["total"].reasons[0]
    assert decisions["a"].reasons == ()
    assert decisions["number"].status == "empty"


AMOUNTS = "".join(
    f'[[field]]\nname = "{name}"\nbox = [{20 + 200 * place}, 320, 180, 44]\ndecimals = 2\n'
    for place, name in enumerate(("a", "b", "total"))
)


@pytest.mark.parametrize(
    ("separators", "status"),
    [
        (((), (), ()), "doubtful"),  # all may be a hundred times as large
        (((1,), (), ()), "ok"),
        (((2,), (), ()), "doubtful"),
        (((1,), (1,), (2,)), "ok"),
    ],
)
def test_a_sum_does_not_say_where_the_decimal_point_is(folder, separators, status):
    template = load_template(write_form(folder, AMOUNTS))
    texts = {"a": "731", "b": "269", "total": "1000"}
    found = {}
    for (name, text), before in zip(texts.items(), separators, strict=True):
        (segmentation,) = sure(text).segmentations
        found[name] = Hypotheses((replace(segmentation, separators=before),))
    decisions = decide(template, found)
    assert decisions["total"].text == "10.00"
    assert {decisions[name].status for name in texts} == {status}


@pytest.mark.parametrize(("total", "status"), [("139", "ok"), ("138", "invalid")])
def test_a_rule_is_rounded_to_the_decimals_of_its_total(folder, total, status):
    template = load_template(write_form(folder, FIELDS, '[rules]\ntotal = " a * 0.19 "\n'))
    found = {"number": Hypotheses(), "a": sure("731"), "b": Hypotheses(), "total": sure(total)}
    assert decide(template, found)["total"].status == status


def test_an_empty_summand_is_nothing(folder):
    template = load_template(write_form(folder))
    found = {"number": Hypotheses(), "a": Hypotheses(), "b": sure("269"), "total": sure("269")}
    decisions = decide(template, found)
    assert [decisions[name].status for name in ("a", "b", "total")] == ["empty", "ok", "ok"]


def test_what_cannot_be_read_leaves_sure_fields_as_they_are(folder):
    template = load_template(write_form(folder))
    unread = Hypotheses((), ("its ink cannot be read",))
    found = {"number": Hypotheses(), "a": unread, "b": sure("269"), "total": sure("900")}
    decisions = decide(template, found)
    assert decisions["a"].status == "doubtful"
    assert decisions["b"].status == "ok"


def test_without_a_constraint_a_doubtful_digit_is_doubtful(folder):
    template = load_template(write_form(folder, FIELDS, ""))
    found = {
        "number": Hypotheses(),
        "a": seen({7: 0.7, 1: 0.29}),
        "b": Hypotheses(),
        "total": Hypotheses(),
    }
    decision = decide(template, found)["a"]
    assert (decision.text, decision.status) == ("7", "doubtful")
    assert decision.confidence == pytest.approx(0.7)
    found["a"] = seen({7: 0.8969, 1: 0.1})  # 90% is certain enough
    assert decide(template, found)["a"].reasons == ("a digit is doubtful (89%)",)


def test_limits_that_exclude_nothing_prove_nothing(folder):
    others = {"b": Hypotheses(), "number": Hypotheses(), "total": Hypotheses()}
    box = "box = [60, 320, 200, 48]"
    confidences = []
    for limits in ("", "min = 0", "pattern = '.*'", "max = 79", "max = 75"):
        template = load_template(write_form(folder, FIELDS.replace(box, f"{box}\n{limits}"), ""))
        found = others | {"a": seen({7: 0.999}, {1: 0.7, 7: 0.2})}
        confidences.append(decide(template, found)["a"].confidence)
    assert confidences[:3] == pytest.approx([0.7, 0.7, 0.7], abs=1e-3)
    assert 0.7 < confidences[3] < 0.73  # 77 is within the limit, too
    assert confidences[4] > 0.74


def test_a_rule_with_an_empty_total_says_nothing(folder):
    template = load_template(write_form(folder))
    found = {
        "number": Hypotheses(),
        "a": seen({7: 0.7, 1: 0.29}),
        "b": sure("269"),
        "total": Hypotheses(),
    }
    decisions = decide(template, found)
    assert (decisions["a"].status, decisions["total"].status) == ("doubtful", "empty")
    assert decisions["a"].confidence == pytest.approx(0.7)


def test_a_total_of_one_digit_proves_little(folder):
    template = load_template(write_form(folder))
    a, b = seen({1: 0.3, 7: 0.2}), seen({1: 0.3, 4: 0.2})
    decisions = decide(template, {"number": Hypotheses(), "a": a, "b": b, "total": seen({2: 0.9})})
    assert {decisions[name].status for name in ("a", "b")} == {"doubtful"}


def test_what_is_doubted_is_not_certain(folder):
    template = load_template(write_form(folder, FIELDS, ""))
    (segmentation,) = sure("731").segmentations
    found = {"number": Hypotheses(), "b": Hypotheses(), "total": Hypotheses()}
    decision = decide(
        template, found | {"a": Hypotheses((segmentation,), ("ink reaches over its edge",))}
    )["a"]
    assert (decision.status, decision.confidence) == ("doubtful", 0.5)


def test_a_digit_across_the_edge_of_a_field_is_noticed(form, one_of_each):
    page = fill_form(one_of_each)
    put_digit(page, one_of_each[8], 248, 326)  # most of it is right of the field
    one = form.read(page)["a"]
    assert (one.text, one.status) != ("731", "ok")


@pytest.mark.parametrize(("name", "place"), [("a", (264, 326)), ("total", (528, 444))])
def test_a_digit_beside_a_field_is_noticed(form, one_of_each, name, place):
    page = fill_form(one_of_each)
    put_digit(page, one_of_each[8], *place)
    one = form.read(page)[name]
    assert (one.text, one.status) == (WRITTEN[name], "doubtful")
    assert one.reasons == ("ink reaches over its edge",)


def test_what_is_written_in_a_neighbouring_field_is_not_beside_one(folder, one_of_each):
    fields = FIELDS.replace("box = [60, 320, 200, 48]", "box = [60, 320, 100, 48]")
    beside = '[[field]]\nname = "beside"\nbox = [164, 320, 96, 48]\n'
    form = Form(write_form(folder, fields + beside, ""))
    page = blank_form()
    for x, digit in ((70, 7), (115, 3), (168, 1)):
        put_digit(page, one_of_each[digit], x, 326)
    reading = form.read(page)
    assert [(reading[n].text, reading[n].status) for n in ("a", "beside")] == [
        ("73", "ok"),
        ("1", "ok"),
    ]


def test_checksums_of_the_users_own_for_a_loaded_template(folder, one_of_each):
    template = load_template(write_form(folder))
    odd = {"a": lambda text: int(text) % 2 == 1}  # 731
    even = {"a": lambda text: int(text) % 2 == 0}
    for checksums, status in ((odd, "ok"), (even, "invalid")):
        for given in (template, write_form(folder)):
            form = Form(given, checksums=checksums)
            assert form.templates[0].fields[1].checksum == "of your own"
            assert (form.read(fill_form(one_of_each))["a"].status == "ok") is (status == "ok")
    assert template.fields[1].checksum is None


def test_a_template_is_loaded_once(folder, monkeypatch):
    loaded, load = [], template_module._load_reference
    monkeypatch.setattr(
        template_module, "_load_reference", lambda *given: loaded.append(given) or load(*given)
    )
    Form(write_form(folder), checksums={"a": lambda text: True})
    assert len(loaded) == 1


@pytest.mark.parametrize("word", ["Name", "June", "kg", "thanks"])
def test_a_word_is_no_number(folder, word):
    """In the free field, and a letter in each cell of a comb."""
    page, font = blank_form(), load_fonts()[0]
    spots = [(66 + 40 * i, 208, letter) for i, letter in enumerate((word * 6)[:6])]
    for x, y, text in [(70, 328, word), *spots]:
        ink, _ = font.write(text, 30, 3)
        part = page[y : y + ink.shape[0], x : x + ink.shape[1]]
        np.minimum(part, 255 - ink, out=part)
    reading = Form(write_form(folder, FIELDS.replace('checksum = "luhn"', ""), "")).read(page)
    for name in ("a", "number"):
        assert reading[name].status in ("doubtful", "invalid")
        assert "may be a word" in reading[name].reasons


def test_small_writing_in_a_high_field_is_not_taken_for_nothing(folder, one_of_each):
    high = FIELDS.replace("[60, 320, 200, 48]", "[60, 320, 200, 230]")
    form = Form(write_form(folder, high, "", name="high"))
    assert form.read(fill_form(one_of_each))["a"].status != "empty"


def test_a_checksum_that_raises_is_an_error_of_the_picture(folder, one_of_each):
    form = Form(write_form(folder), checksums={"number": lambda text: text[20] == "1"})
    error = error_of(FormError, form.read, fill_form(one_of_each))
    assert "checksum of number failed" in str(error)


def test_a_checksum_says_yes_or_no(folder, one_of_each):
    def find_digit(text):  # the digit that must follow, say
        return "7"

    form = Form(write_form(folder), checksums={"number": find_digit})
    error = error_of(FormError, form.read, fill_form(one_of_each))
    assert "must return True or False, got '7'" in str(error)
