"""Mutations of valid files; the same generator of random numbers gives the same ones."""

import json
import random
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]
"""Bytes of a file, and where chance comes from, to other bytes."""

NUMBERS = (0, 1, 2, 10, 127, 128, 255, 256, 9999, 14000, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1)

LARGE, DEEP = "(large)", "(deep)"
TEXTS = {  # JSON that Python's own encoder cannot write
    json.dumps(LARGE): "9" * 5000,
    json.dumps(DEEP): "[" * 20_000 + "]" * 20_000,
}
ODD: tuple[Any, ...] = (
    *(None, True, False, -1, 0, 1, 2, 0.5, 2**31, 2**63, 2**64, -(2**63), 10**30, LARGE, DEEP),
    *(1e-300, 1e300, -1e308, float("nan"), float("inf"), -float("inf"), [], {}, [[[1]]], [None]),
    *("", " ", "0", "-1", "nan", "x" * 70_000, "../../x", "/x", "a\0b", "\x1b[2J", "\u202e"),
    *("\ud800", "a\nb", "%s{}", "(a+)+$", "é" * 300, {"": {"": 1}}),
)
"""Values in place of others in JSON and TOML."""


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flip bits, cut, repeat, move and insert bytes, often near the beginning: the header."""
    mutant = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        size = len(mutant)
        at = rng.randrange(min(size, 64) if rng.random() < 0.5 else size) if size else 0
        length = min(size - at, rng.choice((1, 2, 4, 16, 300)))
        kind = rng.randrange(7)
        if kind == 0 and size:
            mutant[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and size:
            mutant[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFE, 0xFF, rng.randrange(256)))
        elif kind == 2:
            layout = rng.choice(("<H", ">H", "<I", ">I"))
            number = rng.choice(NUMBERS) & (0xFFFF if layout[1] == "H" else 0xFFFFFFFF)
            mutant[at : at + struct.calcsize(layout)] = struct.pack(layout, number)
        elif kind == 3:
            del mutant[at : at + length]
        elif kind == 4:
            other = rng.randrange(size + 1)
            mutant[other:other] = mutant[at : at + length] * rng.choice((1, 1, 50))
        elif kind == 5:
            mutant[at:at] = rng.randbytes(length)
        elif rng.random() < 0.3:
            del mutant[at:]
    return bytes(mutant)


def mutate_image(data: bytes, rng: random.Random) -> bytes:
    """Mutate bytes; half of the PNG files get right checksums, so that damage gets further."""
    mutant = mutate_bytes(data, rng)
    return with_checksums(mutant) if rng.random() < 0.5 else mutant


PNG = b"\x89PNG\r\n\x1a\n"


def with_checksums(data: bytes) -> bytes:
    """A PNG file with its chunks' checksums put right; other bytes as they are."""
    mutant = bytearray(data)
    at = len(PNG)
    while data.startswith(PNG) and at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", mutant, end, zlib.crc32(data[at + 4 : end]))
        at = end + 4
    return bytes(mutant)


def mutate_json(data: bytes, rng: random.Random) -> bytes:
    """Drop, repeat and replace values of a JSON text; now and then its bytes."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        tree = None
    if not isinstance(tree, dict) or rng.random() < 0.1:
        return mutate_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        _mutate_tree(tree, rng)
    try:
        text = json.dumps(tree)
    except (ValueError, RecursionError):
        return data
    for placeholder, large in TEXTS.items():
        text = text.replace(placeholder, large)
    return text.encode()


def mutate_metadata(data: bytes, rng: random.Random) -> bytes:
    """Mutate an object of texts; most of the time one of the texts, which is JSON itself."""
    if rng.random() < 0.3:
        return mutate_json(data, rng)
    try:
        texts = json.loads(data)
        key = rng.choice(sorted(texts))
        mutant = mutate_json(b'{"x": %s}' % texts[key].encode(), rng).decode("utf-8", "replace")
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return mutate_json(data, rng)
    texts[key] = mutant.removeprefix('{"x": ').removesuffix("}")
    return json.dumps(texts).encode()


def _mutate_tree(tree: dict[str, Any], rng: random.Random) -> None:
    places = list(_places(tree))
    if not places:
        return
    parent, key = rng.choice(places)
    kind = rng.randrange(5)
    if kind == 0:
        del parent[key]
    elif kind == 1:
        other, name = rng.choice(places)
        with suppress(LookupError):
            parent[key] = json.loads(json.dumps(other[name]))
    elif kind == 2 and isinstance(parent, dict):
        parent[rng.choice(("", "x", "x" * 1000, "../x", "\0", key.upper()))] = parent[key]
    elif kind == 2 and isinstance(parent, list):
        parent.append(parent[key])
    else:
        parent[key] = deepcopy(rng.choice(ODD))


def _places(tree: Any) -> list[tuple[Any, Any]]:
    """Each container in a tree with each of its keys."""
    places, todo = [], [tree]
    while todo:
        one = todo.pop()
        keys = one if isinstance(one, dict) else range(len(one))
        for key in keys:
            places.append((one, key))
            if isinstance(one[key], dict | list):
                todo.append(one[key])
    return places


def mutate_settings(data: bytes, rng: random.Random) -> bytes:
    """Drop, repeat, swap and change lines of a TOML file, which are ``key = value``."""
    if rng.random() < 0.1:
        return mutate_bytes(data, rng)
    lines = data.decode("utf-8", "replace").splitlines() or [""]
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(lines))
        key, equals, value = lines[at].partition("=")
        kind = rng.randrange(5)
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines.insert(rng.randrange(len(lines) + 1), lines[at])
        elif kind == 2 and equals:
            lines[at] = f"{key}={rng.choice(lines).partition('=')[2]}"
        elif kind == 3:
            new = rng.choice(("", '""', "a.b.c", "x" * 100, key.strip() + "s", "output.file"))
            lines[at] = f"{new} ={value}"
        else:
            lines[at] = f"{key.strip() or 'threads'} = {_toml(rng.choice(ODD))}"
    return "\n".join(lines).encode("utf-8", "surrogatepass") + b"\n"


def _toml(value: Any) -> str:
    """A value as TOML, as far as TOML has it."""
    if isinstance(value, float):
        return str(value)
    text = json.dumps(value).replace("{}", "{ }")
    return TEXTS.get(text, text)


def mutate_model(data: bytes, rng: random.Random) -> bytes:
    """Change fields of an ONNX file's messages; now and then its bytes."""
    import onnx
    from google.protobuf.message import DecodeError

    if rng.random() < 0.3:
        return mutate_bytes(data, rng)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return mutate_bytes(data, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _mutate_message(model, rng)
    return bytes(model.SerializeToString())


def _mutate_message(message: Any, rng: random.Random) -> None:
    """Descend into a protobuf message at random, and change one field."""
    while True:
        fields = message.ListFields()
        if not fields:
            return
        field, value = rng.choice(fields)
        repeated = hasattr(value, "append") and not isinstance(value, str | bytes)
        if repeated and rng.random() < 0.2:
            at = rng.randrange(len(value))
            if rng.random() < 0.5:
                del value[at]
            elif field.message_type is None:
                value.append(value[at])
            else:
                value.add().CopyFrom(value[at])
            return
        if field.message_type is not None and (repeated or rng.random() < 0.9):
            message = rng.choice(value) if repeated else value
            continue
        if field.message_type is not None:
            message.ClearField(field.name)
            return
        with suppress(ValueError, TypeError):  # out of the field's range
            old = rng.choice(value) if repeated else value
            new = _odd_scalar(old, rng)
            if repeated:
                value[rng.randrange(len(value))] = new
            else:
                setattr(message, field.name, new)
        return


def _odd_scalar(old: Any, rng: random.Random) -> Any:
    if isinstance(old, bytes):
        return mutate_bytes(old, rng)
    if isinstance(old, str):
        return rng.choice(("", "x", "N", "image", "Loop", "Resize", "9" * 400, "nan", "../x", "-1"))
    if isinstance(old, float):
        return rng.choice((0.0, -1.0, 1e38, float("nan"), float("inf")))
    return rng.choice((*NUMBERS, -1, -2, old + 1, old - 1, 2**62))
