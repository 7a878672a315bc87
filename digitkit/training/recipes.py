"""Recipes: everything that decides a training, by name and version.

A recipe's version goes up with every change that affects its results, so that a model's record
identifies the recipe that made it.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta

from digitkit.datasets.digits import VALIDATION
from digitkit.errors import RecipeError
from digitkit.training.augment import Augmentation
from digitkit.training.ranges import (
    Count,
    Fraction,
    PartialFraction,
    Seed,
    Steps,
    check_ranges,
)


@dataclass(frozen=True)
class Recipe:
    """One way to train one net.

    Attributes:
        name: the name for ``--recipe``.
        version: goes up when the recipe changes.
        summary: one line for people.
        net: the net, a key of `digitkit.training.nets.NETS`.
        epochs: passes over the training images, at most (see `patience`).
        batch_size: images per step.
        optimizer: ``adadelta`` (rho 0.95, epsilon 1e-7, as in Keras), ``adamw`` or ``sgd``
            (Nesterov momentum 0.9).
        learning_rate: its peak, if the schedule varies it.
        weight_decay: decoupled for adamw, L2 for the others; never on biases and normalisation.
        schedule: ``constant``, or ``one-cycle``: linear warm-up over `warmup`, then linear to 0.
        warmup: fraction of all steps that the warm-up takes, 0–1.
        label_smoothing: fraction of the target that is spread over all classes, 0–1.
        ema: decay per step of the exponential moving average of the weights that is validated and
            kept instead of the raw ones; 0 for none.
        validation: fraction of the training images that is split off for validation, 0–1,
            stratified and the same for all seeds; 0 trains on all of them and keeps the last epoch.
        keep: which epoch's weights are kept: the ``best`` on validation, or the ``last``. When the
            rate falls to 0 the last epoch is the better choice on average: a few thousand
            validation images distinguish good epochs only by chance.
        patience: stop when validation has not improved for this number of epochs; 0 never stops.
        augmentation: how training images are augmented.
        hands: digits drawn from strokes that are added to the training images, as a fraction of
            their number (see `digitkit.training.stroke_digits`).
        pages: synthetic pages, whose digits are added to the training images as the detector cuts
            them out, and what it took for digits there to the images without one, with letters and
            signs of handwriting fonts (see `digitkit.training.page_digits`); 0 for none.
        negatives: images without a digit that are added to each batch, as a fraction of its size;
            the net learns to reject them (see `digitkit.training.negatives`).
        own: fraction of an epoch's images that are the user's own, repeated, where MNIST is mixed
            into them (see `digitkit.training.material`); 0 mixes nothing.
        distill: weight of the difference from what the net said before it was trained further, on
            all images but the own ones (Li and Hoiem, Learning without Forgetting, ECCV 2016).
        statistics: of batch normalisation: those of each ``batch``, or ``fixed`` ones, with which a
            net that was trained before goes on as it is.
        seed: of initialisation, order, dropout and augmentation.

    Raises:
        RecipeError: a value is out of range; the message names its field.
    """

    name: str
    version: Annotated[int, Meta(ge=1)]
    summary: str
    net: str
    epochs: Steps
    batch_size: Annotated[int, Meta(ge=2, le=1_000_000)]
    optimizer: Literal["adadelta", "adamw", "sgd"]
    learning_rate: Annotated[float, Meta(gt=0, le=1000)]
    weight_decay: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    schedule: Literal["constant", "one-cycle"] = "constant"
    warmup: PartialFraction = 0.2
    label_smoothing: PartialFraction = 0.0
    ema: PartialFraction = 0.0
    validation: PartialFraction = VALIDATION
    keep: Literal["best", "last"] = "best"
    patience: Count = 0
    augmentation: Augmentation = Augmentation()
    hands: Fraction = 0.0
    pages: Count = 0
    negatives: Fraction = 0.0
    own: PartialFraction = 0.0
    distill: Annotated[float, Meta(ge=0, le=1000)] = 0.0
    statistics: Literal["batch", "fixed"] = "batch"
    seed: Seed = 0

    def __post_init__(self) -> None:
        """Check the values; raises `RecipeError`."""
        check_ranges(self)
        if self.patience and self.keep == "last":
            raise RecipeError("requires keep=best, got keep=last", field="patience")


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
"""Handwriting, pens, scanners and paper unlike MNIST's."""

_BEST = Recipe(
    name="best",
    version=2,
    summary="trains the model that ships as digits: accuracy first",
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
            version=2,
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
            summary="trains the model that ships as digits-tiny: speed first",
            net="digits-tiny",
        ),
        dataclasses.replace(
            _BEST,
            name="pages",
            version=3,
            summary="best, trained on digits as the detector cuts them out of pages, too",
            epochs=30,
            pages=6000,
        ),
        dataclasses.replace(
            _BEST,
            name="fine-tune",
            summary="goes on with a model, on your own images and MNIST",
            epochs=3,
            learning_rate=0.0003,
            ema=0.995,
            own=0.05,
            distill=10.0,
            statistics="fixed",
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
            version=2,
            summary="the article's worked example: one convolution, one pooling, one dense layer",
            net="article-minimal",
            epochs=10,
            batch_size=128,
            optimizer="adadelta",
            learning_rate=1.0,
        ),
    )
}


FINE_TUNE = "fine-tune"
"""The recipe that requires a net to start from, and mixes MNIST into what it is given."""


def get_recipe(name: str) -> Recipe:
    """Return the recipe of this name.

    Raises:
        RecipeError: it does not exist; similar names are listed.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(name, RECIPES, n=3, cutoff=0.6)
        names = f"choose from {', '.join(RECIPES)}; train --list also has those of other networks"
        hint = f"did you mean {' or '.join(near)}?" if near else names
        raise RecipeError(f"recipe {name!r} does not exist", hint=hint)
    return RECIPES[name]


_IDENTITY = ("name", "version", "summary")


def override(recipe: Recipe, values: Mapping[str, str]) -> Recipe:
    """Return the recipe with some fields changed.

    Args:
        recipe: what to start from.
        values: field to new value, as text; a field of the augmentation is written
            ``augmentation.rotate``.

    Raises:
        RecipeError: a field does not exist or cannot be changed, or the text is not a value for
            it.
    """
    names = [name for name in vars(recipe) if name not in (*_IDENTITY, "augmentation")]
    names += [f"augmentation.{name}" for name in vars(recipe.augmentation)]
    changes: dict[str, Any] = {}
    augmentation: dict[str, Any] = {}
    for field, text in values.items():
        if field in _IDENTITY:
            raise RecipeError(f"recipe field {field} identifies the recipe and cannot be changed")
        if field not in names:
            near = difflib.get_close_matches(field, names, n=3, cutoff=0.4)
            hint = (
                f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(names)}"
            )
            raise RecipeError(f"recipe field {field!r} does not exist", hint=hint)
        if field.startswith("augmentation."):
            name = field.removeprefix("augmentation.")
            augmentation[name] = parse_field(Augmentation, name, text, "augmentation.")
        else:
            changes[field] = parse_field(Recipe, field, text)
    if augmentation:
        changes["augmentation"] = dataclasses.replace(recipe.augmentation, **augmentation)
    return dataclasses.replace(recipe, **changes)


def parse_field(kind: type, field: str, text: str, prefix: str = "") -> Any:
    """Convert a text to the type of a dataclass field: text, a choice, or a number.

    Args:
        kind: the dataclass.
        field: the field's name.
        text: its value as text.
        prefix: of the field's name in errors.

    Raises:
        RecipeError: it is not a value of that type.
    """
    hint = typing.get_type_hints(kind)[field]
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        if text not in choices:
            allowed = f"{', '.join(choices[:-1])} or {choices[-1]}"
            raise RecipeError(f"must be {allowed}, got {text!r}", field=f"{prefix}{field}")
        return text
    try:
        value = hint(text)
        if hint is float and not math.isfinite(value):
            raise ValueError
    except ValueError:
        noun = "a whole number" if hint is int else "a number"
        raise RecipeError(f"must be {noun}, got {text!r}", field=f"{prefix}{field}") from None
    return value
