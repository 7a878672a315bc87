from __future__ import annotations

import pytest

from digitkit.benchmark import candidates
from digitkit.benchmark.candidates import find_models
from digitkit.errors import InputNotFoundError
from digitkit.models.registry import models_folder, shipped_files

TINY = "digits-tiny-int8"


def names(*given: object) -> list[str]:
    return [name for name, _ in find_models([str(name) for name in given])]


def test_models_are_found_by_name_by_stem_and_by_file_once(monkeypatch):
    assert names("digits") == ["digits-int8", "digits-fp32"]
    assert find_models([TINY]) == [(TINY, shipped_files(TINY)[0].resolve())]
    folder = models_folder()
    monkeypatch.chdir(folder)
    file = f"{TINY}.onnx"
    assert names(TINY, "digits-tiny", file, folder / file, f"../{folder.name}/{file}") == [
        *(TINY, "digits-tiny-fp32")
    ]


def test_files_of_the_same_name_have_their_paths_as_names(tmp_path):
    ours, other = models_folder() / f"{TINY}.onnx", tmp_path / f"{TINY}.onnx"
    other.write_bytes(ours.read_bytes())
    assert names(TINY, other) == [str(ours), str(other)]


@pytest.mark.parametrize("name", ["nothing", "none.onnx", "", "digits-int4", "digits"])
def test_a_model_that_does_not_exist(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # hides the shipped model, and is not one
    with pytest.raises(InputNotFoundError):
        find_models([name])


def test_names_of_variants():
    assert candidates.format_name("m", "onnxruntime") == "m"
    assert candidates.format_name("m", "opencv", 2, 8) == "m, opencv, 2 threads, batch 8"
