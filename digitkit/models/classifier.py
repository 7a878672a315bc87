"""The classifier: images of digits in, predictions out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt

from digitkit.arrays import F32, U8
from digitkit.choices import PrecisionChoice
from digitkit.errors import (
    ConfigError,
    ImageError,
    InputTypeError,
    ModelRunError,
    at_least,
    one_line,
)
from digitkit.models.contract import DEFAULT_MIN_CONFIDENCE, ModelContract
from digitkit.models.registry import find_model
from digitkit.models.session import make_session, run_limited
from digitkit.models.signature import read_signature
from digitkit.system.hashes import file_sha256

FIRST_CALL_SECONDS = 60.0
"""Time limit of a model's first call: a graph may loop forever, and the slowest device takes
milliseconds."""

_MAX_PROBABILITY = 1.001
"""Probabilities of 1 may be rounded up."""

DEFAULT_INPUT_SCALE = 1 / 255
"""Default factor for the pixels of a third-party model."""


@dataclass(frozen=True)
class Prediction:
    """A model's prediction for one image.

    Attributes:
        digit: the most likely digit, 0 to 9.
        confidence: probability that the image shows a digit and that it is this one, 0–1.
        is_digit: probability that the image shows a digit at all, 0–1; 1 from a model without
            this output.
        probabilities: of the digits 0 to 9, given that it is one, float32 ``[10]``.
    """

    digit: int
    confidence: float
    is_digit: float
    probabilities: F32 = field(repr=False, compare=False)


@dataclass(frozen=True)
class Scores:
    """A model's outputs for a batch.

    Attributes:
        probabilities: of the digits 0 to 9, given that it is one, float32 ``[N, 10]``; rows sum
            to 1.
        is_digit: probability that it is a digit at all, float32 ``[N]``; ones from a model
            without this output.
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
        contract: what it promises; None for a third-party model.
        min_confidence: its default threshold, 0–1.
        input: name, type and shape of its input, for display.
        output: name, type and shape of its outputs, for display.
        session: the ONNX Runtime session that runs it.
        knows_digits: whether it states how likely an image is a digit at all.
        fixed_batch: whether it takes exactly one image per call; a batch then takes several calls.
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
                digitkit's own, or a third-party one with float32 ``[1 or N, 1, 28, 28]`` in and
                ten scores out.
            precision: of a shipped model: ``int8``, ``fp32``, or ``auto`` for the faster.
            threads: threads that one call may use; more than one helps large batches only.
            input_scale: factor for the pixels, 0–255, of a third-party model; 1/255 by default.
            batch: most images per call of the session; None for all at once.

        Raises:
            InputNotFoundError: the model does not exist.
            ModelError: it cannot be loaded, is not a digit model, or has a newer contract.
            ConfigError: `model` is neither a name nor a path, `threads` is not within 1 to 1,024,
                `batch` is less than 1, `precision` is unknown or given for a file, or
                `input_scale` for a digitkit model.
        """
        if batch is not None:
            at_least("batch", batch, 1, whole=True)
        self.path = find_model(model, precision)
        self.session = make_session(self.path, threads)
        metadata = self.session.get_modelmeta().custom_metadata_map
        self.contract = ModelContract.from_metadata(metadata, str(self.path))
        signature = read_signature(self.session, str(self.path), third_party=self.contract is None)
        if self.contract is not None and input_scale is not None:
            raise ConfigError(
                f"applies to third-party models, but {self.path} takes raw pixels by its contract",
                field="input_scale",
            )
        self.input, self.output = signature.input_text, signature.outputs_text
        self.knows_digits = signature.knows_digits
        self.fixed_batch = signature.fixed_batch
        self.min_confidence = (
            self.contract.min_confidence if self.contract else DEFAULT_MIN_CONFIDENCE
        )
        self._input, self._outputs = signature.input, signature.outputs
        self._called = False
        self._batch = 1 if signature.fixed_batch else batch
        self._scale = np.float32(DEFAULT_INPUT_SCALE if input_scale is None else input_scale)
        self._needs_softmax = self.contract is None and not self._returns_probabilities()

    def __repr__(self) -> str:
        """Which file it is."""
        return f"Classifier({self.path.name!r})"

    def _returns_probabilities(self) -> bool:
        """Whether a third-party model's scores are probabilities already, by trying some images."""
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
            ImageError: wrong shape or dtype.
            InputTypeError: not an array.
        """
        return self.scores(images).probabilities

    def scores(self, images: U8) -> Scores:
        """All outputs of the model for a batch.

        Args:
            images: uint8 ``[N, 28, 28]`` or ``[N, 1, 28, 28]`` in normal form (see
                `digitkit.images.normal_form`): ink bright on dark. N may be 0.

        Raises:
            ImageError: wrong shape or dtype.
            InputTypeError: not an array.
            ModelError: the model fails, or returns no probabilities.
        """
        scores = self._scores(images)
        for values in (scores.probabilities, scores.is_digit):
            if not (values >= 0).all() or not (values <= _MAX_PROBABILITY).all():  # NaN is neither
                raise self._bad_output()
        return scores

    def _scores(self, images: U8) -> Scores:
        """`scores`, without a look at the values."""
        if not isinstance(images, np.ndarray):
            raise InputTypeError(f"images must be an array, got {type(images).__name__}")
        if images.dtype != np.uint8 or images.shape[1:] not in ((28, 28), (1, 28, 28)):
            raise ImageError(
                f"images must be uint8 [N, 28, 28], got {images.dtype} {list(images.shape)}"
            )
        if len(images) == 0:
            return Scores(np.empty((0, 10), np.float32), np.empty(0, np.float32))
        outputs = self._run(images)
        probabilities = outputs[0]
        if self._needs_softmax:
            # Not at the top: digitkit's own models need none.
            from digitkit.models.calibration import softmax

            if not np.isfinite(probabilities).all():
                raise self._bad_output()
            probabilities = softmax(probabilities)
        if self.knows_digits:
            return Scores(probabilities, outputs[1])
        return Scores(probabilities, np.ones(len(images), np.float32))

    def _run(self, images: U8) -> list[F32]:
        batch: npt.NDArray[np.generic] = images.reshape(-1, 1, 28, 28)
        if self.contract is None:
            batch = batch.astype(np.float32) * self._scale
        limit = self._batch or len(batch)
        if len(batch) <= limit:
            return self._call(batch)
        calls = [self._call(batch[start : start + limit]) for start in range(0, len(batch), limit)]
        return [np.concatenate(output) for output in zip(*calls, strict=True)]

    def _call(self, batch: npt.NDArray[np.generic]) -> list[F32]:
        """One call of the session; the first one has a time limit, since a graph may loop."""
        try:
            if self._called:
                outputs = self.session.run(self._outputs, {self._input: batch})
            else:
                feeds = {self._input: batch}
                outputs = run_limited(self.session, self._outputs, feeds, FIRST_CALL_SECONDS)
                self._called = True
        except Exception as error:  # ONNX Runtime's exceptions share no base class
            raise ModelRunError(f"fails: {one_line(error)}", subject=str(self.path)) from error
        if any(len(output) != len(batch) for output in outputs):
            raise ModelRunError(
                f"returns {len(outputs[0])} rows for {len(batch)} images", subject=str(self.path)
            )
        return outputs

    def _bad_output(self) -> ModelRunError:
        return ModelRunError(
            "returns values that are not probabilities",
            subject=str(self.path),
            hint="the file may be damaged; check it with digitkit eval, or use another model",
        )

    @overload
    def classify(self, images: U8) -> Prediction: ...
    @overload
    def classify(self, images: Sequence[U8]) -> list[Prediction]: ...

    def classify(self, images: U8 | Sequence[U8]) -> Prediction | list[Prediction]:
        """Classify one image, or many in one batch.

        Args:
            images: uint8 ``[28, 28]`` in normal form; or a sequence of such, or ``[N, 28, 28]``,
                or ``[N, 1, 28, 28]``.

        Returns:
            A `Prediction` for one image; a list in the same order for many, empty for none.

        Raises:
            ImageError: wrong shape or dtype, or images of several shapes.
            InputTypeError: not an array or a sequence of arrays.
            ModelError: the model fails, or returns no probabilities.
        """
        if isinstance(images, np.ndarray) and images.ndim == 2:
            scores = self._scores(images[None])
            return self._to_prediction(scores.probabilities[0], scores.is_digit[0])
        if not isinstance(images, np.ndarray):
            images = _stack(images)
        if images.ndim and len(images) == 0:
            return []
        scores = self._scores(images)
        return list(map(self._to_prediction, scores.probabilities, scores.is_digit))

    def _to_prediction(self, row: F32, is_digit: np.float32) -> Prediction:
        digit = int(row.argmax())  # of a NaN, if there is one
        probability, is_one = float(row[digit]), float(is_digit)
        if not 0 <= probability <= _MAX_PROBABILITY or not 0 <= is_one <= _MAX_PROBABILITY:
            raise self._bad_output()
        return Prediction(digit, float(row[digit] * is_digit), is_one, row)


def _stack(images: Sequence[U8]) -> U8:
    """Images of one shape as one array.

    Raises:
        ImageError: they have several shapes.
        InputTypeError: one of them is not an array, or they are not a sequence.
    """
    if not isinstance(images, Sequence):
        kind = type(images).__name__
        raise InputTypeError(f"images must be an array or a sequence of arrays, got {kind}")
    for image in images:
        if not isinstance(image, np.ndarray):
            raise InputTypeError(f"images must be arrays, got {type(image).__name__}")
        if image.shape != images[0].shape:
            shapes = f"{list(images[0].shape)} and {list(image.shape)}"
            raise ImageError(f"images must have one shape, got {shapes}")
    return np.stack(images) if images else np.empty((0, 28, 28), np.uint8)
