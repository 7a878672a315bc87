"""Recipe fields out of their ranges, from the command line."""

import dataclasses
import typing

import pytest
from support.cli import one_error_line, run
from support.errors import error_of
from support.training import FAST, Silent, train_config

torch = pytest.importorskip("torch")

from digitkit.errors import RecipeError
from digitkit.training import recipes
from digitkit.training.augment import Augmentation, augment
from digitkit.training.detector_training import DETECTOR, DetectorConfig
from digitkit.training.line_training import LINES, LineConfig
from digitkit.training.ranges import Fraction, _all_limits, check_ranges
from digitkit.training.run import train

QUICK = recipes.get_recipe("quick")
NUMBERS = [name for name, value in vars(QUICK).items() if isinstance(value, int | float)]
AUGMENTATIONS = [f"augmentation.{field.name}" for field in dataclasses.fields(Augmentation)]


@pytest.mark.parametrize("value", ["-5", "1e300", "inf", "nan", str(10**30), str(10**400)])
@pytest.mark.parametrize("field", [*NUMBERS, *AUGMENTATIONS])
def test_no_field_takes_such_a_number(field, value):
    if field != "version":  # cannot be changed
        assert error_of(RecipeError, recipes.override, QUICK, {field: value}).field == field


@pytest.mark.parametrize("value", [-5, 10**30])
@pytest.mark.parametrize(
    ("config", "field"),
    [
        *((DetectorConfig, field) for field in DETECTOR.fields),
        *((LineConfig, field) for field in LINES.fields),
    ],
)
def test_nor_does_one_of_a_net_for_pages(tmp_path, config, field, value):
    assert error_of(RecipeError, config, tmp_path, **{field: value}).field == field


def test_a_recipe_made_in_python_is_checked_too():
    assert error_of(RecipeError, Augmentation, scale=-5).field == "augmentation.scale"
    assert error_of(RecipeError, dataclasses.replace, QUICK, seed=-1).field == "seed"


@pytest.mark.parametrize(
    "options",
    [
        ("--set", f"seed={2**63}"), ("--seed", 2**63), ("--batch-size", 10**30),
        ("--set", "augmentation.scale=-5"), ("--threads", 10**9),
        ("--recipe", "finder", "--threads", 10**9),
        ("--recipe", "finder", "--set", f"seed={2**64}"),
    ],
)  # fmt: skip
def test_the_command_refuses_it(tmp_path, options):
    assert run("train", "--out", tmp_path / "run", *options).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_the_error_names_range_and_value(tmp_path):
    result = run("train", "--out", tmp_path / "run", "--set", "augmentation.scale=-5")
    line = one_error_line(result, 2)
    assert all(word in line for word in ("augmentation.scale", "0", "-5"))


@pytest.mark.parametrize("seed", [0, 2**46])
def test_the_largest_seed_trains(tmp_path, few_digits, seed):
    changes = FAST | {"epochs": "1", "seed": str(seed), "hands": "0.1", "negatives": "0.1"}
    assert train(train_config(tmp_path / "a", few_digits, changes), Silent()).record.seed == seed


def test_strongest_augmentation_gives_finite_pixels():
    images = torch.rand(16, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    for field in dataclasses.fields(Augmentation):
        settings = Augmentation(**{field.name: _all_limits(Augmentation)[field.name].le})
        out = augment(images, settings, torch.Generator().manual_seed(0))
        assert torch.isfinite(out).all(), field.name


def test_types_are_evaluated_once(monkeypatch):
    @dataclasses.dataclass
    class Settings:
        one: Fraction = 0.5
        two: Fraction = 0.5

    evaluate, calls = typing.get_type_hints, []

    def count(kind, **options):
        calls.append(kind)
        return evaluate(kind, **options)

    monkeypatch.setattr(typing, "get_type_hints", count)
    for _ in range(3):
        check_ranges(Settings())
    assert calls == [Settings]
