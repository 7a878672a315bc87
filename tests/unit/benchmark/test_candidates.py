from __future__ import annotations

from support.errors import error_of

from digitkit.benchmark.candidates import find_models, format_name
from digitkit.errors import InputNotFoundError
from digitkit.models.registry import models_folder, shipped_files

TINY = "digits-tiny-int8"


def find_names(*models: object) -> list[str]:
    return [name for name, _ in find_models([str(model) for model in models])]


def test_models_are_found_by_name_by_stem_and_by_file_once(tmp_path, monkeypatch):
    assert find_names("digits") == ["digits-int8", "digits-fp32"]
    assert find_models([TINY]) == [(TINY, shipped_files(TINY)[0].resolve())]
    folder, file = models_folder(), f"{TINY}.onnx"
    monkeypatch.chdir(folder)
    same = (TINY, "digits-tiny", file, folder / file, f"../{folder.name}/{file}")
    assert find_names(*same) == [TINY, "digits-tiny-fp32"]
    # Different files of the same name have their paths as names.
    (tmp_path / file).write_bytes((folder / file).read_bytes())
    assert find_names(TINY, tmp_path / file) == [str(folder / file), str(tmp_path / file)]


def test_a_model_that_does_not_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # hides the shipped model, and is not one
    for name in ("nothing", "none.onnx", "", "digits-int4", "digits"):
        error_of(InputNotFoundError, find_models, [name])


def test_names_of_variants():
    assert format_name("m", "onnxruntime") == "m"
    assert format_name("m", "opencv", 2, 8) == "m, opencv, 2 threads, batch 8"
