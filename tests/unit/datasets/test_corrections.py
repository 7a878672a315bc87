import json

import numpy as np
import pytest
from support.errors import error_of

from digitkit.datasets.corrections import (
    LEDGER,
    Correction,
    add_corrections,
    is_corrections_folder,
    load_corrections,
    parse_correction,
    read_corrections,
)
from digitkit.errors import DatasetError, InputNotFoundError


def image(level: int) -> np.ndarray:
    return np.full((28, 28), level, np.uint8)


def digit(id: str, text: str, level: int) -> Correction:
    return Correction(id, "digit", text, (image(level),), read="7", source="page.png")


def files(folder) -> dict[str, list[int]]:
    """The grey levels of the images in each folder."""
    found: dict[str, list[int]] = {}
    data, without = load_corrections(folder)
    if data is not None:
        for label, one in zip(data.labels, data.images, strict=True):
            found.setdefault(str(label), []).append(int(one[0, 0]))
    for one in without:
        found.setdefault("none", []).append(int(one[0, 0]))
    return {label: sorted(levels) for label, levels in found.items()}


def test_lines_are_read_back():
    before = Correction("a1", "number", "19.5", tuple(map(image, (1, 2, 3))), "1?.5", "päge#2")
    after = parse_correction(before.to_line())
    assert after == before
    assert [int(one[0, 0]) for one in after.images] == [1, 2, 3]


@pytest.mark.parametrize(
    ("kind", "text", "count", "labels"),
    [
        ("digit", "7", 1, ("7",)),
        ("digit", "", 1, ("none",)),
        ("number", "-19,5", 3, ("1", "9", "5")),
        ("number", "195", 2, None),
        ("number", "", 2, ("none", "none")),
        ("digit", "7", 0, None),
        ("field", "12.50", 4, ("1", "2", "5", "0")),
    ],
)
def test_images_have_the_digits_of_the_text(kind, text, count, labels):
    assert Correction("a", kind, text, tuple(map(image, range(count)))).labels == labels


def good() -> dict:
    return json.loads(digit("a", "7", 9).to_line())


@pytest.mark.parametrize(
    "change",
    [
        {"text": "77"}, {"text": "x"}, {"text": None}, {"text": "٣"}, {"kind": "page"}, {"id": ""},
        {"id": 3}, {"images": "abc"}, {"images": ["*"]}, {"images": ["QUJD"]}, {"images": [""]},
        {"images": good()["images"] * 101},
    ],
)  # fmt: skip
def test_what_is_no_correction_is_refused(change):
    with pytest.raises(DatasetError):
        parse_correction(json.dumps(good() | change))


@pytest.mark.parametrize("line", ["", "[]", "{", "null", "[" * 100_000, '{"id": "a"}'])
def test_what_is_no_object_is_refused(line):
    with pytest.raises(DatasetError):
        parse_correction(line)


def test_images_of_other_sizes_are_refused_before_they_are_decoded():
    import base64

    from digitkit.images.cv import cv2

    data = cv2.imencode(".png", np.zeros((29, 28), np.uint8))[1].tobytes()
    with pytest.raises(DatasetError, match="28 × 28"):
        parse_correction(json.dumps(good() | {"images": [base64.b64encode(data).decode()]}))


def test_a_file_gives_corrections_and_errors_with_their_lines(tmp_path):
    path = tmp_path / "corrections.jsonl"
    path.write_text(digit("a", "7", 1).to_line() + "\n{\n" + digit("b", "3", 2).to_line())
    first, error, second = read_corrections(path)
    assert (first.id, second.id) == ("a", "b")
    assert error.subject == f"{path}:3"


@pytest.mark.parametrize(("name", "kind"), [("none", InputNotFoundError), ("", DatasetError)])
def test_a_file_that_cannot_be_read(tmp_path, name, kind):
    with pytest.raises(kind):
        list(read_corrections(tmp_path / name))


def test_the_folder_has_an_image_per_digit(tmp_path):
    folder = tmp_path / "corrections"
    number = Correction("n", "number", "35", (image(3), image(5)))
    done = add_corrections(folder, [digit("a", "7", 1), digit("b", "", 2), number])
    assert files(folder) == {"7": [1], "none": [2], "3": [3], "5": [5]}
    assert done.corrections == 3
    assert done.counts == {"3": 1, "5": 1, "7": 1, "none": 1}
    assert done.unclear == 0
    assert is_corrections_folder(folder)


def test_more_corrections_are_added(tmp_path):
    add_corrections(tmp_path, [digit("a", "7", 1)])
    done = add_corrections(tmp_path, [digit("b", "7", 2)])
    assert files(tmp_path) == {"7": [1, 2]}
    assert done.corrections == 2


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("id", ["a", "b"])
def test_the_later_correction_counts(tmp_path, at_once, id):
    both = [digit("a", "7", 1), digit(id, "3", 1)]
    for part in [both] if at_once else [[one] for one in both]:
        add_corrections(tmp_path, part)
    assert files(tmp_path) == {"3": [1]}
    assert [path.name for path in tmp_path.glob("7/*")] == []


@pytest.mark.parametrize("writes", [0, 1])
def test_after_an_interruption_the_same_corrections_end_it(tmp_path, monkeypatch, writes):
    add_corrections(tmp_path, [digit("a", "7", 1)])

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if writes:
            patch.setattr("digitkit.datasets.corrections.atomic.write_text", interrupt)
        else:
            patch.setattr("pathlib.Path.unlink", interrupt)
        with pytest.raises(KeyboardInterrupt):
            add_corrections(tmp_path, [digit("a", "3", 1)])
    add_corrections(tmp_path, [digit("a", "3", 1)])
    assert files(tmp_path) == {"3": [1]}


def test_what_a_killed_process_left_is_not_loaded(tmp_path):
    add_corrections(tmp_path, [digit("a", "7", 1)])
    (tmp_path / "7" / ".0123456789abcdef.digitkit-tmp-0.png").write_bytes(b"")
    assert files(tmp_path) == {"7": [1]}


def test_a_correction_may_be_replaced_by_one_without_images(tmp_path):
    add_corrections(tmp_path, [digit("a", "7", 1), digit("b", "4", 2)])
    add_corrections(tmp_path, [Correction("a", "digit", "7", ())])
    assert files(tmp_path) == {"4": [2]}


def test_numbers_whose_digits_are_not_told_apart_are_counted(tmp_path):
    done = add_corrections(tmp_path, [Correction("n", "number", "355", (image(3), image(5)))])
    assert done.unclear == 1
    assert done.counts == {}
    with pytest.raises(DatasetError, match="no corrections to learn from"):
        load_corrections(tmp_path)


def test_the_same_corrections_give_the_same_folder(tmp_path):
    corrections = [digit("a", "7", 1), digit("b", "", 2)]

    def names():
        return sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))

    add_corrections(tmp_path, corrections)
    before = names(), (tmp_path / LEDGER).read_text()
    add_corrections(tmp_path, corrections)
    assert (names(), (tmp_path / LEDGER).read_text()) == before


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "7").mkdir()
    error = error_of(DatasetError, add_corrections, tmp_path, [digit("a", "7", 1)])
    assert "--out" in error.hint
    assert list((tmp_path / "7").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "{", "{}", '{"format": 2, "corrections": {}}',
        '{"format": 1, "corrections": {"a": {"text": "7", "images": ["../../x"]}}}',
    ],
)  # fmt: skip
def test_a_damaged_ledger_is_refused(tmp_path, text):
    (tmp_path / LEDGER).write_text(text)
    with pytest.raises(DatasetError, match="cannot be read"):
        add_corrections(tmp_path, [digit("a", "7", 1)])


def test_images_of_another_size_in_the_folder_are_refused(tmp_path):
    from digitkit.images.cv import cv2

    add_corrections(tmp_path, [digit("a", "7", 1)])
    cv2.imwrite(str(tmp_path / "7" / "large.png"), np.zeros((40, 30), np.uint8))
    with pytest.raises(DatasetError, match="28 × 28"):
        load_corrections(tmp_path)


def test_without_corrections_nothing_is_made(tmp_path):
    assert add_corrections(tmp_path / "new", []).corrections == 0
    assert list(tmp_path.iterdir()) == []


def test_several_at_once_lose_nothing(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: add_corrections(tmp_path, [digit(f"{i}", "7", i)]), range(40)))
    assert files(tmp_path) == {"7": list(range(40))}
    assert add_corrections(tmp_path, []).corrections == 40
