"""Recipes and nets by name, and the configuration of the detector's training."""

import dataclasses

import pytest
from support.errors import error_of

torch = pytest.importorskip("torch")

from digitkit.errors import ConfigError, RecipeError
from digitkit.training import detector_training, nets, recipes
from digitkit.training.detector_training import DETECTOR, DetectorConfig


def test_the_articles_net():
    recipe = recipes.get_recipe("article")
    assert (recipe.optimizer, recipe.learning_rate, recipe.epochs) == ("adadelta", 1.0, 10)
    assert (recipe.batch_size, recipe.validation) == (128, 0.0)
    torch.manual_seed(0)
    dense = nets.build_net("article")[7].requires_grad_(False)
    limit = (6 / (9216 + 128)) ** 0.5  # Glorot, uniform
    assert float(dense.weight.abs().max()) <= limit
    assert float(dense.weight.std()) == pytest.approx(limit / 3**0.5, rel=0.01)
    assert float(dense.bias.abs().max()) == 0


def test_any_field_can_be_overridden():
    quick = recipes.get_recipe("quick")
    changed = recipes.override(
        quick, {"epochs": "3", "optimizer": "sgd", "augmentation.rotate": "5.5", "seed": "9"}
    )
    assert (changed.epochs, changed.optimizer, changed.seed) == (3, "sgd", 9)
    assert changed.augmentation == dataclasses.replace(quick.augmentation, rotate=5.5)
    for field, value in vars(quick).items():
        if field not in ("name", "version", "summary", "augmentation"):
            assert recipes.override(quick, {field: str(value)}) == quick


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epoch": "3"}, "did you mean epochs"), ({"name": "mine"}, "name"),
        ({"augmentation.rotat": "3"}, "did you mean augmentation.rotate"),
        ({"augmentation": "3"}, "'augmentation'"), ({"augmentation.rotate": "nan"}, "rotate"),
        ({"epochs": "many"}, "'many'"), ({"epochs": "1.5"}, "epochs"), ({"epochs": "0"}, "epochs"),
        ({"learning_rate": "nan"}, "learning_rate"), ({"learning_rate": "inf"}, "learning_rate"),
        ({"learning_rate": "0"}, "learning_rate"), ({"batch_size": "1"}, "batch_size"),
        ({"optimizer": "adam"}, "adadelta, adamw or sgd"), ({"warmup": "1"}, "warmup"),
        ({"validation": "-0.1"}, "validation"), ({"hands": "1.1"}, "hands"),
        ({"seed": "-1"}, "seed"), ({"patience": "3", "keep": "last"}, "patience"),
    ],
)  # fmt: skip
def test_bad_overrides(values, words):
    quick = recipes.get_recipe("quick")
    assert words in str(error_of(RecipeError, recipes.override, quick, values))


@pytest.mark.parametrize(
    ("find", "name", "words"),
    [
        (recipes.get_recipe, "artcle", "did you mean article"),
        (recipes.get_recipe, "zzz", "choose from quick, best"),
        (nets.build_net, "digit", "did you mean digits"), (nets.convnet, "32", "layer '32'"),
        (nets.convnet, "32x5s2 x3", "layer 'x3'"),
        (nets.convnet, "8x5s2 8x3s2p1 8x3 8x3 8x3", "layer '8x3'"),
    ],
)  # fmt: skip
def test_recipes_and_nets_that_do_not_exist(find, name, words):
    assert words in str(error_of(RecipeError, find, name))


def test_the_detectors_config(tmp_path):
    wrong = ("steps", 0), ("batch", 0), ("seed", -1), ("workers", -1), ("first_scene", -1)
    for field, value in wrong:
        assert field in str(error_of(RecipeError, DetectorConfig, tmp_path, **{field: value}))
    assert error_of(ConfigError, DetectorConfig, tmp_path, threads=-1).field == "threads"
    assert DETECTOR.parse_changes({"steps": "3", "workers": "0"}) == {"steps": 3, "workers": 0}
    for changes in ({"net": "x"}, {"steps": "many"}, {"out": "x"}):
        assert next(iter(changes)) in str(error_of(RecipeError, DETECTOR.parse_changes, changes))


def test_the_detectors_training_begins_at_a_scene(tmp_path, monkeypatch):
    begun = []
    monkeypatch.setattr(
        detector_training, "SceneSamples", lambda seed, first: begun.append((seed, first))
    )
    config = DetectorConfig(tmp_path, batch=4, seed=2, first_scene=100)
    for step in (0, 10):
        DETECTOR.samples(config, step, lambda *_: None)
    assert begun == [(2, 100), (2, 140)]
