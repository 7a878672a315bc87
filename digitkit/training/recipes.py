"""Recipes: everything that decides a training, by name and version.

A recipe's version goes up with any change that changes what it gives, so that a model's record
says which one made it.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from digitkit.errors import RecipeError
from digitkit.training.augment import Augmentation


@dataclass(frozen=True)
class Recipe:
    """One way to train one net.

    Attributes:
        name: what ``--recipe`` calls it.
        version: goes up when the recipe changes.
        summary: one line for people.
        net: the net, a key of `digitkit.training.nets.NETS`.
        epochs: passes over the training images, at most (see `patience`).
        batch_size: images a step.
        optimizer: ``adadelta`` (rho 0.95, epsilon 1e-7, as in Keras), ``adamw`` or ``sgd``
            (Nesterov momentum 0.9).
        learning_rate: its peak, where the schedule varies it.
        weight_decay: decoupled for adamw, L2 for the others; never on biases and normalisation.
        schedule: ``constant``, or ``one-cycle``: linear warm-up over `warmup`, then linear to 0.
        warmup: share of all steps that the warm-up takes, 0–1.
        label_smoothing: share of the target spread over all classes, 0–1.
        ema: decay a step of the exponential moving average of the weights that is validated and
            kept instead of the raw ones; 0 for none.
        validation: share of the training images split off for validation, 0–1, seeded and
            stratified; 0 trains on all of them and keeps the last epoch.
        keep: which epoch's weights are kept: ``best`` on validation, or the ``last``, which a rate
            that falls to 0 makes the better one on average, while a few thousand validation
            images tell good epochs apart by chance.
        patience: stop when validation has not improved for so many epochs; 0 never does.
        augmentation: how training images are varied.
        hands: digits drawn from strokes that are added to the training images, as a share of
            these (see `digitkit.training.hands`).
        negatives: pictures that hold no digit and join each batch, as a share of it; the net
            learns to know them (see `digitkit.training.negatives`).
        seed: of initialisation, order, dropout, augmentation and the split.
    """

    name: str
    version: int
    summary: str
    net: str
    epochs: int
    batch_size: int
    optimizer: Literal["adadelta", "adamw", "sgd"]
    learning_rate: float
    weight_decay: float = 0.0
    schedule: Literal["constant", "one-cycle"] = "constant"
    warmup: float = 0.2
    label_smoothing: float = 0.0
    ema: float = 0.0
    validation: float = 1 / 12
    keep: Literal["best", "last"] = "best"
    patience: int = 0
    augmentation: Augmentation = Augmentation()
    hands: float = 0.0
    negatives: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained; raises `RecipeError`, naming the field."""
        checks = {
            "epochs": self.epochs >= 1,
            "batch_size": self.batch_size >= 2,
            "learning_rate": self.learning_rate > 0,
            "weight_decay": self.weight_decay >= 0,
            "warmup": 0 <= self.warmup < 1,
            "label_smoothing": 0 <= self.label_smoothing < 1,
            "ema": 0 <= self.ema < 1,
            "validation": 0 <= self.validation < 1,
            "patience": self.patience >= 0,
            "hands": 0 <= self.hands <= 1,
            "negatives": 0 <= self.negatives <= 1,
            "seed": self.seed >= 0,
        }
        if self.patience and self.keep == "last":
            raise RecipeError("recipe field patience: goes with keep=best, not with keep=last")
        for field, fine in checks.items():
            if not fine:
                raise RecipeError(f"recipe field {field}: {getattr(self, field)} is out of range")


_MANY_HANDS = Augmentation(
    rotate=10,
    shear=0.2,
    scale=0.12,
    stretch=0.15,
    translate=1.5,
    elastic=0.6,
    stroke=0.4,
    blur=0.2,
    contrast=0.3,
    texture=0.15,
    light=0.15,
    noise=0.15,
    erase=0.1,
)
"""Other hands, pens, scanners and papers than MNIST's."""

_BEST = Recipe(
    name="best",
    version=1,
    summary="makes the model that ships as digits: accuracy first",
    net="digits",
    epochs=70,
    batch_size=128,
    optimizer="adamw",
    learning_rate=0.006,
    weight_decay=0.02,
    schedule="one-cycle",
    label_smoothing=0.05,
    ema=0.998,
    keep="last",
    augmentation=_MANY_HANDS,
    hands=0.06,
    negatives=0.25,
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="quick",
            version=1,
            summary="the default: over 99.2% on MNIST in under two minutes on two cores",
            net="quick",
            epochs=8,
            batch_size=128,
            optimizer="adamw",
            learning_rate=0.01,
            weight_decay=0.01,
            schedule="one-cycle",
            label_smoothing=0.05,
            ema=0.99,
            augmentation=Augmentation(
                rotate=8, shear=0.15, scale=0.1, stretch=0.1, translate=1.5, elastic=0.4
            ),
        ),
        _BEST,
        dataclasses.replace(
            _BEST,
            name="best-tiny",
            summary="makes the model that ships as digits-tiny: speed first",
            net="digits-tiny",
        ),
        Recipe(
            name="article",
            version=1,
            summary="the classic Keras article, reproduced: Keras itself gives 99.12%",
            net="article",
            epochs=10,
            batch_size=128,
            optimizer="adadelta",
            learning_rate=1.0,
            validation=0.0,
        ),
        Recipe(
            name="article-minimal",
            version=1,
            summary="the article's worked example: one convolution, one pooling, one dense layer",
            net="article-minimal",
            epochs=10,
            batch_size=128,
            optimizer="adadelta",
            learning_rate=1.0,
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """The recipe of this name.

    Raises:
        RecipeError: there is none; the near ones are named.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(RECIPES)}"
        raise RecipeError(f"recipe {name!r} does not exist; {hint}")
    return RECIPES[name]


def override(recipe: Recipe, values: Mapping[str, str]) -> Recipe:
    """The recipe with some fields changed.

    Args:
        recipe: what to start from.
        values: field to new value, as text; a field of the augmentation is written
            ``augmentation.rotate``.

    Raises:
        RecipeError: there is no such field, or the text is no value for it.
    """
    changes: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for field, text in values.items():
        if field in ("name", "version", "summary"):
            raise RecipeError(f"recipe field {field} is its identity and cannot be changed")
        if field.startswith("augmentation."):
            leaf = field.removeprefix("augmentation.")
            inner[leaf] = _parse(Augmentation, leaf, text)
        else:
            changes[field] = _parse(Recipe, field, text)
    if inner:
        changes["augmentation"] = dataclasses.replace(recipe.augmentation, **inner)
    return dataclasses.replace(recipe, **changes)


def _parse(kind: type, field: str, text: str) -> Any:
    hints = typing.get_type_hints(kind)
    if field not in hints or field == "augmentation":
        names = [name for name in hints if name not in ("name", "version", "summary")]
        if kind is Recipe:
            names.remove("augmentation")
            names += [f"augmentation.{leaf}" for leaf in typing.get_type_hints(Augmentation)]
        near = difflib.get_close_matches(field, names, n=3, cutoff=0.4) or names
        raise RecipeError(f"recipe field {field!r} does not exist; there is {', '.join(near)}")
    hint = hints[field]
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if text not in choices:
            raise RecipeError(f"recipe field {field}: {text!r} is none of {', '.join(choices)}")
        return text
    try:
        value = hint(text)
    except ValueError:
        raise RecipeError(f"recipe field {field}: {text!r} is no {hint.__name__}") from None
    if isinstance(value, float) and value != value:
        raise RecipeError(f"recipe field {field}: {text!r} is no number")
    return value


def to_json(recipe: Recipe) -> dict[str, Any]:
    """The recipe as JSON values, nested like the dataclass."""
    return dataclasses.asdict(recipe)


def from_json(values: Mapping[str, Any]) -> Recipe:
    """The recipe that `to_json` wrote.

    Raises:
        RecipeError: fields are missing, or there are ones that this version doesn't know.
    """
    try:
        fields = dict(values)
        fields["augmentation"] = Augmentation(**fields["augmentation"])
        return Recipe(**fields)
    except (KeyError, TypeError) as error:
        raise RecipeError(f"this is no recipe of this digitkit version: {error}") from error
