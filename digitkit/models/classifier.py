"""The classifier: arrays in, predictions out. The one place that builds an ONNX Runtime session."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, U8
from digitkit.choices import PrecisionChoice
from digitkit.errors import ModelError
from digitkit.models.contract import DEFAULT_MIN_CONFIDENCE, INPUT, IS_DIGIT, OUTPUT, ModelContract
from digitkit.models.registry import find_model
from digitkit.models.session import make_session
from digitkit.system.hashes import file_sha256

DEFAULT_INPUT_SCALE = 1 / 255
"""What a foreign model's pixels are multiplied by unless another scale is given."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Attributes:
        digit: the likeliest digit, 0 to 9.
        confidence: probability that the image shows a digit and that it is this one, 0–1.
        is_digit: probability that the image shows a digit at all, 0–1; 1 where the model doesn't
            say.
        probabilities: of the digits 0 to 9, given that it is one, float32 ``[10]``.
    """

    digit: int
    confidence: float
    is_digit: float
    probabilities: F32 = field(repr=False, compare=False)


@dataclass(frozen=True)
class Scores:
    """What a model says of a batch.

    Attributes:
        probabilities: of the digits 0 to 9, given that it is one, float32 ``[N, 10]``; rows sum
            to 1.
        is_digit: probability that it is a digit at all, float32 ``[N]``; ones where the model
            doesn't say.
    """

    probabilities: F32
    is_digit: F32

    @property
    def joint(self) -> F32:
        """Probability of being each digit, float32 ``[N, 10]``; rows sum to `is_digit`."""
        return self.probabilities * self.is_digit[:, None]


class Classifier:
    """A digit model in an ONNX Runtime session.

    >>> classifier = Classifier()  # doctest: +SKIP
    >>> classifier.classify(image).digit  # doctest: +SKIP
    7

    Attributes:
        path: the model file.
        contract: what it promises; None for a foreign model.
        min_confidence: its default threshold, 0–1.
        input: name, kind and shape of what it takes, for people.
        output: name, kind and shape of what it gives, for people.
        session: the ``onnxruntime.InferenceSession`` that runs it.
        knows_digits: whether it says how likely an image is a digit at all.
        fixed_batch: whether it takes one image at a time only; a batch is then run one by one.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = "digits",
        *,
        precision: PrecisionChoice = "auto",
        threads: int = 1,
        input_scale: float | None = None,
        batch: int | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: a shipped name (``digits``, ``digits-tiny``) or the path of an ``.onnx`` file:
                digitkit's own, or a foreign one with float32 ``[1 or N, 1, 28, 28]`` in and ten
                scores out.
            precision: of a shipped model: ``int8``, ``fp32``, or ``auto`` for the faster.
            threads: threads that one run may use; more than one pays only for large batches.
            input_scale: a foreign model's pixels are 0–255 times this, 1/255 by default.
            batch: most images that go into one run; None for all that are given.

        Raises:
            InputNotFoundError: there is no such model.
            ModelError: it cannot be loaded, is no digit model, or keeps a newer contract.
            ValueError: `threads` or `batch` is under 1.
        """
        if batch is not None and batch < 1:
            raise ValueError(f"batch is {batch}; needed is 1 or more")
        self._batch = batch
        self.path = find_model(model, precision)
        self.session = make_session(self.path, threads)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.contract = ModelContract.from_metadata(metadata, str(self.path))
        self._check_shapes()
        if self.contract is not None and input_scale is not None:
            raise ModelError(
                f"{self.path}: takes raw pixels by its contract; an input scale is for foreign "
                "models"
            )
        self._scale = np.float32(input_scale if input_scale is not None else DEFAULT_INPUT_SCALE)
        self.min_confidence = (
            self.contract.min_confidence if self.contract else DEFAULT_MIN_CONFIDENCE
        )
        self._needs_softmax = self.contract is None and not self._gives_distributions()

    def _check_shapes(self) -> None:
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        kind = "tensor(uint8)" if self.contract else "tensor(float)"
        wanted = f"{kind[7:-1]} [N, 1, 28, 28]"
        if len(inputs) != 1:
            raise ModelError(f"{self.path}: has {len(inputs)} inputs; a digit model has one")
        shape = inputs[0].shape
        if len(shape) != 4 or list(shape[1:]) != [1, 28, 28] or inputs[0].type != kind:
            raise ModelError(
                f"{self.path}: takes {inputs[0].type[7:-1]} {shape}; a digit model takes {wanted}"
            )
        scores = outputs[0].shape
        if len(scores) != 2 or scores[1] != 10 or outputs[0].type != "tensor(float)":
            raise ModelError(
                f"{self.path}: gives {outputs[0].type} {scores}; a digit model gives ten scores, "
                "float [N, 10]"
            )
        if self.contract and (inputs[0].name, outputs[0].name) != (INPUT, OUTPUT):
            raise ModelError(
                f"{self.path}: its contract promises {INPUT} -> {OUTPUT}, but it has "
                f"{inputs[0].name} -> {outputs[0].name}"
            )
        if shape[0] not in (None, 1) and not isinstance(shape[0], str):
            raise ModelError(
                f"{self.path}: takes batches of exactly {shape[0]}; needed is 1 or any size"
            )
        self.input = _described(inputs[0])
        self.knows_digits = self.contract is not None and len(outputs) > 1
        if self.knows_digits:
            second = outputs[1]
            if (second.name, second.type, len(second.shape)) != (IS_DIGIT, "tensor(float)", 1):
                raise ModelError(
                    f"{self.path}: its second output is {_described(second)}; a digit model's is "
                    f"{IS_DIGIT}: float32 [N]"
                )
        given = outputs[: 1 + self.knows_digits]
        self.output = ", ".join(_described(output) for output in given)
        self._input, self._outputs = inputs[0].name, [output.name for output in given]
        self.fixed_batch = shape[0] == 1
        if self.fixed_batch:
            self._batch = 1

    def _gives_distributions(self) -> bool:
        """Whether a foreign model's scores are probabilities already, by trying some images."""
        probe = np.random.default_rng(0).integers(0, 256, (4, 28, 28), dtype=np.uint8)
        scores = self._run(probe)[0]
        return bool((scores >= 0).all() and np.allclose(scores.sum(1), 1, atol=1e-3))

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the model file."""
        return file_sha256(self.path)

    def probabilities(self, images: U8) -> F32:
        """The probability of each digit, given that it is one.

        Args:
            images: as `scores` takes them.

        Returns:
            float32 ``[N, 10]``, rows sum to 1.

        Raises:
            ValueError: another shape or kind.
        """
        return self.scores(images).probabilities

    def scores(self, images: U8) -> Scores:
        """All that the model says of a batch.

        Args:
            images: uint8 ``[N, 28, 28]`` or ``[N, 1, 28, 28]`` in normal form (see
                `digitkit.pixels`): ink bright on dark. N may be 0.

        Raises:
            ValueError: another shape or kind.
        """
        if images.dtype != np.uint8 or images.shape[1:] not in ((28, 28), (1, 28, 28)):
            raise ValueError(
                f"images are {images.dtype} {list(images.shape)}; needed is uint8 [N, 28, 28]"
            )
        if len(images) == 0:
            return Scores(np.empty((0, 10), np.float32), np.empty(0, np.float32))
        given = self._run(images)
        probabilities = given[0]
        if self._needs_softmax:
            from digitkit.models.calibration import (
                softmax,  # not at the top: digitkit's own models need none
            )

            probabilities = softmax(probabilities)
        if self.knows_digits:
            return Scores(probabilities, given[1])
        return Scores(probabilities, np.ones(len(images), np.float32))

    def _run(self, images: U8) -> list[F32]:
        batch: npt.NDArray[np.generic] = images.reshape(-1, 1, 28, 28)
        if self.contract is None:
            batch = batch.astype(np.float32) * self._scale
        most = self._batch or len(batch)
        if len(batch) <= most:
            return self.session.run(self._outputs, {self._input: batch})  # type: ignore[no-any-return]
        parts = [
            self.session.run(self._outputs, {self._input: batch[start : start + most]})
            for start in range(0, len(batch), most)
        ]
        return [np.concatenate(output) for output in zip(*parts, strict=True)]

    @overload
    def classify(self, images: U8) -> Prediction: ...
    @overload
    def classify(self, images: Sequence[U8]) -> list[Prediction]: ...

    def classify(self, images: U8 | Sequence[U8]) -> Prediction | list[Prediction]:
        """Classify one image, or many in one batch.

        Args:
            images: uint8 ``[28, 28]`` in normal form; or a sequence of such, or ``[N, 28, 28]``.

        Returns:
            A `Prediction` for one image; a list in the same order for many.

        Raises:
            ValueError: another shape or kind.
        """
        if isinstance(images, np.ndarray) and images.ndim == 2:
            scores = self.scores(images[None])
            return _prediction(scores.probabilities[0], scores.is_digit[0])
        if len(images) == 0:
            return []
        several = len(images) > 1
        scores = self.scores(np.stack(list(images)) if several else np.asarray(images[0])[None])
        return list(map(_prediction, scores.probabilities, scores.is_digit))


def _prediction(row: F32, is_digit: np.float32) -> Prediction:
    digit = int(row.argmax())
    return Prediction(digit, float(row[digit] * is_digit), float(is_digit), row)


def _described(value: Any) -> str:
    """Name, kind and shape of an input or output: ``image: uint8 [N, 1, 28, 28]``."""
    kind = value.type.removeprefix("tensor(").removesuffix(")").replace("float", "float32")
    return f"{value.name}: {kind} [{', '.join(map(str, value.shape))}]"
