"""The weights in an ONNX file, read without running any code.

A file of the format ONNX is a message of protocol buffers: fields one after the other, each a key,
8 times its number less the kind of what follows, and its value. Only the fields that hold weights
are read; the numbers of the fields are those of onnx.proto.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

TYPES = {1: "<f4", 7: "<i8"}  # TensorProto.data_type: float32, int64


@dataclass(frozen=True)
class Node:
    """An operation, "Conv", say, and the names of what it reads."""

    operation: str
    inputs: list[str]


def read(content: bytes) -> tuple[list[Node], dict[str, Tensor]]:
    """The operations of a network in the order in which they run, and its stored tensors by name.

    Raises ValueError if the content is no ONNX file, or holds tensors that are neither float32 nor
    int64.
    """
    try:
        (graph,) = _values(memoryview(content), 7)  # ModelProto.graph
        nodes = [_node(message) for message in _values(graph, 1)]
        return nodes, dict(_tensor(message) for message in _values(graph, 5))
    except (IndexError, KeyError, TypeError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(
            f"content: expected an ONNX file, got {len(content):,} bytes that cannot "
            f"be read as one ({type(error).__name__}: {error})"
        ) from error


def weights(content: bytes) -> list[Tensor]:
    """The tensors that convolutions, dense layers, products and sums read, in the order in which
    they run: of each layer its weight, then its bias.

    Raises ValueError as `read`.
    """
    nodes, tensors = read(content)
    weighted = [node for node in nodes if node.operation in ("Conv", "Gemm", "Mul", "Add")]
    return [tensors[name] for node in weighted for name in node.inputs if name in tensors]


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The number and the value of each field: a whole number, or bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield key >> 3, value
            continue
        length = {1: 8, 5: 4}.get(kind)  # of numbers with a fixed number of bytes
        if kind == 2:
            length, place = _varint(message, place)
        if length is None or place + length > len(message):
            raise ValueError(f"a field of the kind {kind} ends behind the end of its message")
        yield key >> 3, message[place : place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A whole number in groups of seven bits, the lowest first; and the place behind it."""
    value = shift = 0
    while True:
        byte = message[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return value, place


def _values(message: memoryview, number: int) -> list:
    return [value for found, value in _fields(message) if found == number]


def _node(message: memoryview) -> Node:
    (operation,) = _values(message, 4)
    return Node(_text(operation), [_text(name) for name in _values(message, 1)])


def _tensor(message: memoryview) -> tuple[str, Tensor]:
    (name,), (kind,) = _values(message, 8), _values(message, 2)
    stored = _values(message, 9) or (_values(message, 4) if kind == 1 else [])
    numbers = np.frombuffer(b"".join(stored), TYPES[kind])
    return _text(name), torch.from_numpy(numbers.reshape(_dimensions(message)).copy())


def _dimensions(message: memoryview) -> list[int]:
    """One field each, or packed in one."""
    found: list[int] = []
    for value in _values(message, 1):
        place = 0
        if isinstance(value, int):
            found.append(value)
            continue
        while place < len(value):
            size, place = _varint(value, place)
            found.append(size)
    return found


def _text(message: memoryview) -> str:
    return bytes(message).decode("utf-8")
