"""The classifier: arrays in, predictions out. The one place that builds an ONNX Runtime session."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from .contract import DEFAULT_MIN_CONFIDENCE, INPUT, IS_DIGIT, OUTPUT, ModelContract
from .errors import InputNotFoundError, MissingDependencyError, ModelError, one_line
from .hashes import file_sha256

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

PrecisionChoice = Literal["auto", "int8", "fp32"]

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


def models_folder() -> Path:
    """Where the shipped models are: inside an installed package, else beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "exported"
    return inside if inside.is_dir() else package.parent / "exported"


def shipped_files(name: str) -> list[Path]:
    """The files of a shipped name, int8 first; of ``digits-int8`` and the like, that one."""
    files = [models_folder() / f"{name}{kind}.onnx" for kind in ("-int8", "-fp32", "")]
    return [file for file in files if file.is_file() and file.stem.endswith(("-int8", "-fp32"))]


def find_model(model: str | os.PathLike[str], precision: PrecisionChoice = "auto") -> Path:
    """The file that a shipped name or a path stands for.

    Args:
        model: a shipped name (``digits``, ``digits-tiny``), also with its precision
            (``digits-int8``); else the path of an ``.onnx`` file.
        precision: of a shipped model; ``auto`` is int8 where there is one, which is the faster.

    Raises:
        InputNotFoundError: there is no such shipped model and no such file.
        ModelError: a precision was asked of a file, which has just the one that it has; or this
            user may not look into the file's folder.
    """
    path = Path(model)
    text = os.fspath(model)
    if path.suffix == "" and text == path.name and not path.exists():
        shipped = shipped_files(text)
        if precision != "auto":
            shipped = [file for file in shipped if file.stem == f"{text}-{precision}"]
        if shipped:
            return shipped[0]
        names = sorted({p.name.rsplit("-", 1)[0] for p in models_folder().glob("*-*.onnx")})
        raise InputNotFoundError(
            f"{text}: is neither a shipped model ({', '.join(names) or 'none is installed'}"
            f"; precision {precision}) nor a file"
        )
    if precision != "auto":
        raise ModelError(
            f"{text}: a precision goes with a shipped name such as digits; a file has its own"
        )
    try:
        there = path.is_file()
    except PermissionError as error:  # raised up to Python 3.13
        raise ModelError(
            f"{text}: cannot be looked at: {error.strerror}; put it where this user may read (a "
            "service sees no homes)"
        ) from error
    if not there:
        raise InputNotFoundError(f"{text}: there is no such model file")
    return path


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
            from .evaluation import softmax  # not at the top: digitkit's own models need none

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


def load_onnxruntime() -> Any:
    """The module ``onnxruntime``, which takes a good part of a second to load on a small device.

    Raises:
        MissingDependencyError: it does not load.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError(
            f"ONNX Runtime does not load ({one_line(error)}); pip install onnxruntime brings it "
            "(64-bit systems only)"
        ) from error
    return onnxruntime


def make_session(path: Path, threads: int = 1):  # type: ignore[no-untyped-def]
    """An ``onnxruntime.InferenceSession`` as digitkit runs models: CPU only, no spinning.

    Args:
        path: the model file.
        threads: threads that one run may use.

    Raises:
        ModelError: ONNX Runtime cannot load it.
        MissingDependencyError: ONNX Runtime itself does not load.
        ValueError: `threads` is under 1.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}; needed is 1 or more")
    ort = load_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Spinning threads answer a little sooner but cost whole cores between two frames.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 4  # its errors come back as exceptions
    try:
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions share no base class
        size = path.stat().st_size if path.exists() else 0
        raise ModelError(
            f"{path}: ONNX Runtime {ort.__version__} cannot load it ({size} bytes): "
            f"{one_line(error)}"
        ) from error
