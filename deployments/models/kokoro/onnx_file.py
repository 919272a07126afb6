"""Writes parts of ONNX files as protobuf messages (onnx/onnx.proto), without the package onnx.

A message is a sequence of fields, and a parser merges a field that appears twice. So a part that is appended
to a file adds to its graph, and the bytes before it stay as they were published.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FLOAT, INT64 = 1, 7
"""Types of elements, of ``TensorProto.DataType``."""
_IR_VERSION, _OPSET = 8, 17
_INTEGER = 2  # AttributeProto.AttributeType
_ELEMENT_TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.int64): INT64}


def model(graph: bytes) -> bytes:
    """Build a whole file around `graph`."""
    return _field(1, _IR_VERSION) + _field(8, _field(2, _OPSET)) + graph_part(graph)


def graph_part(graph: bytes) -> bytes:
    """Build the part of a file that holds fields of its graph."""
    return _field(7, graph)


def graph(
    *,
    nodes: Sequence[bytes] = (),
    constants: Sequence[bytes] = (),
    inputs: Sequence[bytes] = (),
    outputs: Sequence[bytes] = (),
) -> bytes:
    """Build the fields of a graph from its parts."""
    parts = ((1, nodes), (5, constants), (11, inputs), (12, outputs))
    return b"".join(_field(number, part) for number, group in parts for part in group)


def node(operator: str, inputs: Sequence[str], output: str, **attributes: int) -> bytes:
    """Build a node: an operator, the names of its tensors, and its integer attributes."""
    names = b"".join(_field(1, name.encode()) for name in inputs)
    given = b"".join(
        _field(5, _field(1, name.encode()) + _field(3, value) + _field(20, _INTEGER))
        for name, value in attributes.items()
    )
    return (
        names + _field(2, output.encode()) + _field(3, output.encode()) + _field(4, operator.encode()) + given
    )


def constant(name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> bytes:
    """Build a constant tensor."""
    dimensions = b"".join(_field(1, size) for size in values.shape)
    kind = _field(2, _ELEMENT_TYPES[values.dtype])
    return dimensions + kind + _field(8, name.encode()) + _field(9, values.tobytes())


def tensor(name: str, element: int, shape: Sequence[int | str]) -> bytes:
    """Describe an input or output: its elements, and its dimensions, which have a size or a name."""
    sizes = b"".join(_field(1, _dimension(size)) for size in shape)
    return _field(1, name.encode()) + _field(2, _field(1, _field(1, element) + _field(2, sizes)))


def _dimension(size: int | str) -> bytes:
    return _field(2, size.encode()) if isinstance(size, str) else _field(1, size)


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])
