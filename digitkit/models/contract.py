"""What an exported model promises, and how the promise travels inside the ``.onnx`` file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_type_hints

from digitkit.errors import ModelError

CONTRACT_VERSION = 1
"""Goes up when an older digitkit could no longer use a newer model rightly."""

PREFIX = "digitkit."
"""All keys in the model's metadata begin with this."""

INPUT = "image"
"""uint8 ``[N, 1, 28, 28]``: raw grey levels, ink bright on dark, in `digitkit.pixels`' form."""

OUTPUT = "probabilities"
"""float32 ``[N, 10]``: calibrated softmax over the digits 0 to 9, in order, given a digit."""

IS_DIGIT = "is_digit"
"""float32 ``[N]``: probability that it is a digit at all; an output that a model may lack."""

LABELS = "0123456789"

DEFAULT_MIN_CONFIDENCE = 0.5
"""The threshold where none was fitted: a foreign model, or a recipe without validation."""

Precision = Literal["fp32", "int8"]


@dataclass(frozen=True)
class ModelContract:
    """What an exported model promises.

    Attributes:
        contract: version of this very agreement.
        labels: the classes in the order of the output.
        preprocessing: version of `digitkit.pixels`' normal form that the model was made for.
        architecture: name of the net.
        parameters: trained values, counted after batch normalisation was folded.
        multiply_adds: multiply-accumulate operations an image.
        op_counts: how often each ONNX operator occurs in the graph.
        recipe: name of the recipe.
        recipe_version: its version.
        overrides: the recipe's fields that were changed, JSON; ``{}`` for none.
        seed: of the training.
        data: name of the training data.
        data_digest: SHA-256 of the training images and labels.
        test_data: name of the test data.
        test_accuracy: share of the test images read right by this very model, 0–1.
        test_count: number of test images.
        calibration_error: expected calibration error on them, 0–1 (15 bins).
        temperature: what the logits were divided by; fitted on validation data, 1 if there was
            none.
        min_confidence: default threshold under which a digit is not accepted, 0–1.
        precision: ``fp32`` or ``int8``.
        calibration: how the ranges of an int8 model were found; ``none`` for fp32.
        parent_sha256: SHA-256 of the fp32 file an int8 model was made from; empty for fp32.
        digitkit_version: what exported it.
        licence: SPDX identifier.
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
    preprocessing: int = 1
    contract: int = CONTRACT_VERSION

    def to_metadata(self) -> dict[str, str]:
        """The contract as the strings that ONNX metadata holds, keys sorted."""
        values = {}
        for field in fields(self):
            value = getattr(self, field.name)
            text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
            values[PREFIX + field.name] = text
        return dict(sorted(values.items()))

    @staticmethod
    def from_metadata(metadata: Mapping[str, str], name: str) -> ModelContract | None:
        """Read a contract back.

        Args:
            metadata: all of the model's metadata; keys that this version doesn't know are left
                aside.
            name: the model's file, for messages.

        Returns:
            None where the model carries no contract at all (a foreign one).

        Raises:
            ModelError: the contract is newer than this digitkit, or incomplete.
        """
        ours = {
            key.removeprefix(PREFIX): text
            for key, text in metadata.items()
            if key.startswith(PREFIX)
        }
        if not ours:
            return None
        try:
            version = int(ours.get("contract", ""))
        except ValueError:
            raise ModelError(f"{name}: its digitkit metadata has no contract version") from None
        if version > CONTRACT_VERSION:
            raise ModelError(
                f"{name}: keeps contract {version} but this digitkit knows up to "
                f"{CONTRACT_VERSION}; upgrade digitkit, or export the model again with this one"
            )
        values: dict[str, Any] = {}
        hints = get_type_hints(ModelContract)
        for field in fields(ModelContract):
            if field.name not in ours:
                raise ModelError(f"{name}: its digitkit metadata lacks {PREFIX}{field.name}")
            text = ours[field.name]
            if hints[field.name] in (str, Precision):
                values[field.name] = text
                continue
            try:
                values[field.name] = json.loads(text)
            except ValueError:
                raise ModelError(
                    f"{name}: its metadata {PREFIX}{field.name} is damaged: {text[:40]!r}"
                ) from None
        found = ModelContract(**values)
        if found.labels != LABELS:
            raise ModelError(f"{name}: has the labels {found.labels!r}; digits are {LABELS}")
        return found
