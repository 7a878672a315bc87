from __future__ import annotations

import dataclasses
import json

import pytest

from digitkit.errors import RecipeError
from digitkit.training import nets, recipes

torch = pytest.importorskip("torch")


def test_the_articles_net_has_its_parameters():
    assert nets.parameter_count(nets.build_net("article")) == 1_199_882
    recipe = recipes.get_recipe("article")
    assert (recipe.optimizer, recipe.learning_rate, recipe.epochs) == ("adadelta", 1.0, 10)
    assert (recipe.batch_size, recipe.validation) == (128, 0.0)


@pytest.mark.parametrize("recipe", recipes.RECIPES.values(), ids=lambda r: r.name)
def test_every_recipe_is_whole(recipe):
    assert recipes.RECIPES[recipe.name] is recipe
    assert recipes.from_json(json.loads(json.dumps(recipes.to_json(recipe)))) == recipe
    nets.build_net(recipe.net)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.epochs = 1


def test_any_field_can_be_overridden():
    quick = recipes.get_recipe("quick")
    changed = recipes.override(
        quick, {"epochs": "3", "optimizer": "sgd", "augmentation.rotate": "5.5", "seed": "9"}
    )
    assert (changed.epochs, changed.optimizer, changed.seed) == (3, "sgd", 9)
    assert changed.augmentation.rotate == 5.5
    assert changed.augmentation.shear == quick.augmentation.shear
    for field in dataclasses.fields(recipes.Recipe):
        if field.name in ("name", "version", "summary", "augmentation"):
            continue
        value = getattr(quick, field.name)
        assert recipes.override(quick, {field.name: str(value)}) == quick


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epoch": "3"}, "'epoch' does not exist; there is epochs"),
        ({"augmentation.rotat": "3"}, "does not exist; there is rotate"),
        ({"augmentation": "3"}, "does not exist"),
        ({"epochs": "many"}, "'many' is no int"),
        ({"epochs": "0"}, "epochs: 0 is out of range"),
        ({"learning_rate": "nan"}, "is no number"),
        ({"learning_rate": "-1"}, "out of range"),
        ({"optimizer": "adam"}, "none of adadelta, adamw, sgd"),
        ({"name": "mine"}, "cannot be changed"),
        ({"patience": "3", "keep": "last"}, "patience: goes with keep=best"),
    ],
)
def test_bad_overrides(values, message):
    with pytest.raises(RecipeError, match=message):
        recipes.override(recipes.get_recipe("quick"), values)


def test_unknown_names_get_the_near_ones():
    with pytest.raises(RecipeError, match="did you mean article"):
        recipes.get_recipe("artcle")
    with pytest.raises(RecipeError, match="there is quick, best"):
        recipes.get_recipe("zzz")
    with pytest.raises(RecipeError, match="net 'digit' does not exist; there is digits"):
        nets.build_net("digit")
    with pytest.raises(RecipeError, match="no recipe of this digitkit version"):
        recipes.from_json({"name": "x"})


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        ("best", 109_626, 3_301_920),
        ("best-tiny", 32_506, 877_536),
        ("quick", 95_754, 1_518_592),
        ("article", 1_199_882, 11_992_448),
    ],
)
def test_recipes_build_the_stated_nets(name, parameters, multiply_adds):
    from digitkit.export import export, graph

    torch.manual_seed(0)
    net = nets.build_net(recipes.get_recipe(name).net)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # biases of 0 would be left out
    counted = graph.count_graph(export.to_onnx(export.deployed(net, 1.0)))
    assert (counted.parameters, counted.multiply_adds) == (parameters, multiply_adds)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("32", "layer '32' is none"),
        ("32x5s2 x3", "layer 'x3' is none"),
        ("8x5s2 8x3s2p1 8x3 8x3 8x3", "layer '8x3': its input is smaller than its kernel"),
    ],
)
def test_layers_that_cannot_be(layers, message):
    with pytest.raises(RecipeError, match=message):
        nets.convnet(layers)
