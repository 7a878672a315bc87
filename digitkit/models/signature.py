"""A model's inputs and outputs: checked to be a digit model's, and described."""

from __future__ import annotations

from dataclasses import dataclass

from digitkit.errors import ModelError
from digitkit.models.contract import INPUT, IS_DIGIT, OUTPUT
from digitkit.models.session import Session, TensorInfo


@dataclass(frozen=True)
class Signature:
    """What a digit model takes and returns.

    Attributes:
        input: the input's name.
        outputs: names of the outputs that are used.
        input_text: name, type and shape of the input: ``image: uint8 [N, 1, 28, 28]``.
        outputs_text: the same of the outputs, comma-separated.
        knows_digits: whether the model states how likely an image is a digit at all.
        fixed_batch: whether the model takes exactly one image per call.
    """

    input: str
    outputs: tuple[str, ...]
    input_text: str
    outputs_text: str
    knows_digits: bool
    fixed_batch: bool


def read_signature(session: Session, name: str, *, third_party: bool) -> Signature:
    """Read and check what a model takes and returns.

    Args:
        session: of the model.
        name: of the model's file, for errors.
        third_party: the model has no contract: it takes float32 pixels, under any name, and only
            its first output counts.

    Raises:
        ModelError: it is not a digit model.
    """
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1:
        raise ModelError(f"has {len(inputs)} inputs, but a digit model has one", subject=name)
    if not outputs:
        raise ModelError("has no outputs, but a digit model has one or two", subject=name)
    _check_input(inputs[0], name, third_party)
    _check_scores(outputs[0], name)
    knows_digits = False
    if not third_party:
        if (inputs[0].name, outputs[0].name) != (INPUT, OUTPUT):
            raise ModelError(
                f"its contract promises {INPUT} -> {OUTPUT}, but it has {inputs[0].name} -> "
                f"{outputs[0].name}",
                subject=name,
            )
        knows_digits = len(outputs) > 1
    batch = inputs[0].shape[0]
    if batch not in (None, 1) and not isinstance(batch, str):
        raise ModelError(
            f"takes batches of exactly {batch}, but a digit model takes 1 or any number",
            subject=name,
        )
    if knows_digits:
        _check_is_digit(outputs[1], name)
    used = outputs[: 1 + knows_digits]
    return Signature(
        input=inputs[0].name,
        outputs=tuple(output.name for output in used),
        input_text=_describe(inputs[0]),
        outputs_text=", ".join(map(_describe, used)),
        knows_digits=knows_digits,
        fixed_batch=batch == 1,
    )


def _check_input(tensor: TensorInfo, name: str, third_party: bool) -> None:
    expected = "tensor(float)" if third_party else "tensor(uint8)"
    if tensor.type != expected or len(tensor.shape) != 4 or list(tensor.shape[1:]) != [1, 28, 28]:
        kind = _describe_type(expected)
        raise ModelError(
            f"takes {_describe(tensor)}, but a digit model takes {kind} [N, 1, 28, 28]",
            subject=name,
        )


def _check_scores(tensor: TensorInfo, name: str) -> None:
    if tensor.type != "tensor(float)" or len(tensor.shape) != 2 or tensor.shape[1] != 10:
        raise ModelError(
            f"returns {_describe(tensor)}, but a digit model returns ten scores, float32 [N, 10]",
            subject=name,
        )


def _check_is_digit(tensor: TensorInfo, name: str) -> None:
    if (tensor.name, tensor.type, len(tensor.shape)) != (IS_DIGIT, "tensor(float)", 1):
        raise ModelError(
            f"its second output is {_describe(tensor)}, but a digit model's is {IS_DIGIT}: "
            "float32 [N]",
            subject=name,
        )


def _describe(tensor: TensorInfo) -> str:
    """Name, type and shape of an input or output: ``image: uint8 [N, 1, 28, 28]``."""
    return f"{tensor.name}: {_describe_type(tensor.type)} [{', '.join(map(str, tensor.shape))}]"


def _describe_type(text: str) -> str:
    kind = text.removeprefix("tensor(").removesuffix(")")
    return {"float": "float32", "double": "float64"}.get(kind, kind)
