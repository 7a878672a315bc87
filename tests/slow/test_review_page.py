"""The review in a browser: keys, buttons, typing, errors."""

import json
from pathlib import Path

import pytest
from support.browser import open_page, result_of

import digitkit.sinks.report.report_sink as report

REVIEW = (Path(report.__file__).parent / "review.js").read_text(encoding="utf-8")

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+k"
    "cQAAAABJRU5ErkJggg=="
)

PAGE = """\
<!DOCTYPE html><meta charset="utf-8">
<body><input id="elsewhere"><button id="other">Other</button><div id="root"></div>
<pre id="result"></pre>
<script type="module">
{review}
const items = {items};
const root = document.getElementById("root");
const log = [];
let failing = 0;
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));
const answer = (entry) => {{
  if (failing > 0) {{ failing -= 1; return Promise.reject(new Error("the disk is full")); }}
  log.push(entry);
  return Promise.resolve();
}};
const review = startReview(root, items, {{
  decide: (item, text) => answer([item.id, text]),
  undo: (item) => answer([item.id, null]),
}});
async function press(key, target = document.activeElement) {{
  const how = {{ key, bubbles: true, cancelable: true, composed: true }};
  target.dispatchEvent(new KeyboardEvent("keydown", how));
  await settle();
}}
async function click(text) {{
  const visible = [...root.querySelectorAll("button")].filter((one) => one.getClientRects().length);
  visible.find((one) => one.textContent.startsWith(text)).click();
  await settle();
}}
const done = () => root.querySelector(".review-done");
const shown = () => ({{
  read: root.querySelector(".review-read").textContent.split(" ")[2] ?? "",
  left: root.querySelector(".review-left").textContent,
  error: root.querySelector(".review-error").textContent,
  status: root.querySelector(".review-status").textContent,
  done: done().hidden ? "" : done().textContent,
  input: root.querySelector("input").value,
  focus: document.activeElement.className,
  buttons: [...root.querySelectorAll("button")].filter((one) => one.getClientRects().length)
    .map((one) => one.getAttribute("aria-label") ?? one.firstChild.textContent),
}});
let result;
try {{
  result = await (async () => {{ {script} }})();
}} catch (error) {{
  result = String(error.stack);
}}
document.getElementById("result").textContent = JSON.stringify(result);
</script>
"""


def item(id: str, kind: str = "digit", read: str = "7", **other) -> dict:
    return {
        "id": id, "kind": kind, "source": "page.png", "read": read, "confidence": 0.5,
        "reasons": ["it may be a 1 (40%)"], "image": PIXEL, "box": [0, 0, 1, 1], "seen": [PIXEL],
    } | other  # fmt: skip


@pytest.fixture
def act(tmp_path):
    """Runs a script on a review of items, and returns what it returns."""

    def run(items: list[dict], script: str):
        page = tmp_path / "page.html"
        text = PAGE.format(
            review=REVIEW, items=json.dumps(items).replace("<", "\\u003c"), script=script
        )
        page.write_text(text, encoding="utf-8")
        result = result_of(open_page(page, tmp_path / "profile"))
        assert not isinstance(result, str), result
        return result

    return run


def test_keys_decide_skip_and_undo(act):
    log, end = act(
        [item("a"), item("b"), item("c"), item("d")],
        """
        await press("3"); await press("n"); await press("s"); await press("u"); await press("u");
        await press("Delete"); await press("ArrowRight"); await press("ArrowLeft");
        await press("0"); await press("x"); await press(" ");
        return [log, shown()];
        """,
    )
    assert log == [["a", "3"], ["b", ""], ["b", None], ["b", ""], ["c", "0"]]
    assert end["done"] == "All done."
    assert end["left"] == "0 left, 3 decided, 1 skipped"
    assert end["buttons"] == ["Undo", "Look at the 1 skipped again"]


def test_what_was_skipped_can_be_looked_at_again(act):
    log, end = act(
        [item("a"), item("b")],
        """
        await press("s"); await press("4"); await click("Look at"); await press("5");
        return [log, shown()];
        """,
    )
    assert log == [["b", "4"], ["a", "5"]]
    assert end["left"] == "0 left, 2 decided"


def test_buttons_do_the_same(act):
    log, first = act(
        [item("a"), item("b"), item("c")],
        """
        const first = shown();
        await click("3"); await click("Not a digit"); await click("Undo"); await click("Skip");
        return [log, first];
        """,
    )
    assert log == [["a", "3"], ["b", ""], ["b", None]]
    assert first["buttons"][:2] == ["It is a 1", "It is a 2"]
    assert first["status"] == "Digit 1 of 3: read as 7 (50.0%). it may be a 1 (40%)"


def test_numbers_are_typed(act):
    log, bad, typed = act(
        [item("a", "number", "1?4"), item("b", "field", ""), item("c")],
        """
        const input = root.querySelector("input"), form = root.querySelector("form");
        form.requestSubmit(); await settle();
        const bad = shown();
        input.value = "-19,4"; form.requestSubmit(); await settle();
        await click("Empty");
        const typed = shown();
        await press("8", document.body);
        return [log, bad, typed];
        """,
    )
    assert bad["input"] == "1?4"
    assert "Write digits" in bad["error"]
    assert log == [["a", "-19,4"], ["b", ""], ["c", "8"]]
    assert typed["error"] == ""


def test_keys_do_not_act_where_text_is_typed(act):
    log, shown = act(
        [item("a"), item("b", "number", "12")],
        """
        const elsewhere = document.getElementById("elsewhere");
        elsewhere.focus(); await press("3"); await press("u"); await press("s");
        elsewhere.blur(); await press("3");
        const input = root.querySelector("input");
        input.focus(); await press("s"); await press("n"); await press("Backspace");
        const before = shown();
        await press("Escape");
        return [log, before];
        """,
    )
    assert log == [["a", "3"]]
    assert shown["read"] == "12"
    assert shown["left"] == "1 left, 1 decided"


def test_a_button_that_has_the_focus_gets_space_and_enter(act):
    log = act(
        [item("a"), item("b")],
        """
        document.getElementById("other").focus();
        await press(" "); await press("Enter"); await press("3");
        return { log };
        """,
    )["log"]
    assert log == [["a", "3"]]


def test_what_fails_can_be_tried_again(act):
    log, failed, end = act(
        [item("a"), item("b")],
        """
        failing = 1; await press("3");
        const failed = shown();
        await press("3");
        failing = 1; await press("u"); await press("u"); await press("4");
        return [log, failed, shown()];
        """,
    )
    assert failed["error"] == "Not saved: the disk is full. Try again."
    assert failed["left"] == "2 left, 0 decided"
    assert log == [["a", "3"], ["a", None], ["a", "4"]]
    assert end["error"] == ""


def test_nothing_is_taken_for_html(act):
    evil = "<img src=x onerror=\"document.title='hacked'\">"
    result = act(
        [item("a", read=evil, source=evil, reasons=[evil])],
        "await settle(); return [document.title, root.querySelectorAll('img[src=x]').length];",
    )
    assert result == ["", 0]


def test_an_empty_review_and_items_that_come_later(act):
    empty, more, log = act(
        [],
        f"""
        const empty = shown();
        review.add([{json.dumps(item("a"))}]);
        const more = shown();
        await press("3"); review.stop(); await press("u");
        return [empty, more, log];
        """,
    )
    assert empty["done"] == "Nothing is doubtful."
    assert more["done"] == ""
    assert more["left"] == "1 left, 0 decided"
    assert log == [["a", "3"]]


def test_the_focus_stays_in_the_review(act):
    first, second, third = act(
        [item("a", "number", "12"), item("b"), item("c", "number", "1?")],
        """
        const first = shown().focus;
        const input = root.querySelector("input");
        input.focus(); root.querySelector("form").requestSubmit(); await settle();
        const second = shown().focus;
        await press("3");
        return [first, second, shown().focus];
        """,
    )
    assert first == ""  # a phone would open its keyboard
    assert second == "review-card"
    assert third == "review-input"
