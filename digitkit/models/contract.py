"""What an exported model promises, and how the promise travels inside the ``.onnx`` file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from digitkit.choices import Precision
from digitkit.errors import ModelError

CONTRACT_VERSION = 1
"""Goes up when an older digitkit could no longer use a newer model correctly."""

PREFIX = "digitkit."
"""All keys of the contract in the model's metadata begin with this."""

INPUT = "image"
"""uint8 ``[N, 1, 28, 28]``: raw grey levels, ink bright on dark, in normal form (see
`digitkit.images.normal_form`)."""

OUTPUT = "probabilities"
"""float32 ``[N, 10]``: calibrated softmax over the digits 0 to 9, in order, given a digit."""

IS_DIGIT = "is_digit"
"""float32 ``[N]``: probability that the image shows a digit at all; an optional output."""

PREPROCESSING = 1
"""Version of `digitkit.images.normal_form` that this digitkit has; a test compares the two."""

LABELS = "0123456789"

DEFAULT_MIN_CONFIDENCE = 0.5
"""The threshold where none was fitted: third-party models, and too few validation images."""

TEMPERATURES = (1e-6, 1e6)
"""Lowest and highest temperature."""


@dataclass(frozen=True)
class ModelContract:
    """What an exported model promises.

    Fields that were added to the contract later have defaults, so that older files still load.

    Attributes:
        contract: version of the contract itself.
        labels: the classes in the order of the output.
        preprocessing: version of the normal form that the model was trained on.
        architecture: name of the net.
        parameters: trained values, counted after batch normalisation was folded.
        multiply_adds: multiply-accumulate operations per image.
        op_counts: how often each ONNX operator occurs in the graph.
        opset: version of the ONNX operator set; None for models exported before it was stored.
        recipe: name of the recipe.
        recipe_version: its version.
        overrides: the recipe fields that were changed, JSON; ``{}`` for none.
        seed: of the training.
        data: name of the training data.
        data_digest: SHA-256 of the training images and labels.
        test_data: name of the test data.
        test_accuracy: fraction of the test images that this very model reads right, 0–1.
        test_count: number of test images.
        calibration_error: expected calibration error on them, 0–1 (15 bins).
        temperature: what the logits were divided by.
        min_confidence: default threshold; a digit with a lower confidence is not accepted, 0–1.
        precision: ``fp32`` or ``int8``.
        calibration: how the ranges of an int8 model were found; ``none`` for fp32.
        parent_sha256: SHA-256 of the fp32 file an int8 model was made from; empty for fp32.
        digitkit_version: the version that exported it.
        licence: SPDX identifier.
        confidence_source: ``init`` if temperature and threshold are those of the run that the
            training started from, ``default`` if they are 1 and `DEFAULT_MIN_CONFIDENCE`, both for
            lack of validation images; None if they were fitted on these, and for older models.
    """

    architecture: str
    parameters: int
    multiply_adds: int
    op_counts: dict[str, int]
    recipe: str
    recipe_version: int
    overrides: str
    seed: int
    data: str
    data_digest: str
    test_data: str
    test_accuracy: float
    test_count: int
    calibration_error: float
    temperature: float
    min_confidence: float
    precision: Precision
    calibration: str
    parent_sha256: str
    digitkit_version: str
    licence: str = "MIT"
    labels: str = LABELS
    preprocessing: int = PREPROCESSING
    contract: int = CONTRACT_VERSION
    opset: int | None = None
    confidence_source: Literal["init", "default"] | None = None

    def to_metadata(self) -> dict[str, str]:
        """The contract as strings for ONNX metadata, keys sorted; fields that are None left out."""
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
                values[PREFIX + field.name] = text
        return dict(sorted(values.items()))

    @staticmethod
    def from_metadata(metadata: Mapping[str, str], name: str) -> ModelContract | None:
        """Read a contract back.

        Args:
            metadata: all of the model's metadata; unknown keys are ignored.
            name: the model's file, for messages.

        Returns:
            None if the model carries no contract (a third-party model).

        Raises:
            ModelError: the contract is newer than this digitkit, incomplete or damaged, or the
                model is another network of digitkit.
        """
        texts = {
            key.removeprefix(PREFIX): text
            for key, text in metadata.items()
            if key.startswith(PREFIX)
        }
        if not texts:
            return None
        if "contract" not in texts:
            raise ModelError(
                "is another network of digitkit, not a digit classifier",
                subject=name,
                hint="name a shipped classifier, such as digits, or a file of digitkit export",
            )
        try:
            version = int(texts["contract"])
        except ValueError:
            raise ModelError(
                "its digitkit metadata has no contract version", subject=name
            ) from None
        if version > CONTRACT_VERSION:
            raise ModelError(
                f"has contract version {version}, but this digitkit supports versions up to "
                f"{CONTRACT_VERSION}",
                subject=name,
                hint="upgrade digitkit, or export the model again with this version",
            )
        values: dict[str, Any] = {}
        types = get_type_hints(ModelContract)
        for field in fields(ModelContract):
            text = texts.get(field.name)
            if text is not None:
                try:
                    values[field.name] = _decode(text, types[field.name])
                    _check_range(field.name, values[field.name])
                except (ValueError, OverflowError, RecursionError):
                    raise ModelError(
                        f"its metadata {PREFIX}{field.name} is damaged: {text[:40]!r}",
                        subject=name,
                    ) from None
            elif field.default is MISSING:
                raise ModelError(f"its digitkit metadata lacks {PREFIX}{field.name}", subject=name)
        contract = ModelContract(**values)
        if contract.preprocessing != PREPROCESSING:
            raise ModelError(
                f"requires version {contract.preprocessing} of the preprocessing, but this "
                f"digitkit has version {PREPROCESSING}",
                subject=name,
                hint="use the digitkit that exported it, or export the model again",
            )
        if contract.labels != LABELS:
            raise ModelError(f"has the labels {contract.labels!r}, not {LABELS!r}", subject=name)
        return contract


_RANGES = {
    **dict.fromkeys(("test_accuracy", "calibration_error", "min_confidence"), (0.0, 1.0)),
    **dict.fromkeys(("parameters", "multiply_adds", "test_count"), (0.0, math.inf)),
    "temperature": TEMPERATURES,
}
"""Lowest and highest value of numbers that decide something, or are shown as a fraction."""


def _check_range(name: str, value: Any) -> None:
    low, high = _RANGES.get(name, (-math.inf, math.inf))
    if isinstance(value, int | float) and not low <= value <= high:  # NaN is not
        raise ValueError(name)


def _decode(text: str, kind: Any) -> Any:
    """A metadata text as a value of a field's type; ValueError if it is not one.

    By hand, since every start reads a contract and msgspec would take longer than all the rest.
    """
    if NoneType in get_args(kind):
        kind = get_args(kind)[0]  # a field that is None is left out
    if kind is str or get_origin(kind) is Literal:
        if kind is not str and text not in get_args(kind):
            raise ValueError(text)
        return text
    value = json.loads(text)
    if kind is float and type(value) is int:
        value = float(value)
    if get_origin(kind) is dict:
        fits = type(value) is dict and all(type(number) is int for number in value.values())
    else:
        fits = type(value) is kind
    if not fits:
        raise ValueError(text)
    return value
