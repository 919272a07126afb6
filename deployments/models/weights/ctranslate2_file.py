"""Reads the variables of a CTranslate2 model file (``model.bin``), without CTranslate2.

The layout is that of ``ctranslate2/specs/model_spec.py``: little-endian, a header, then each variable with
name, shape, type and bytes, then aliases of equal variables.
"""

import mmap
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES: Mapping[int, type[np.generic]] = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
"""NumPy's type of each number of a type in the file."""

Variables = Mapping[str, NDArray[Any]]


def read_variables(path: Path, specification: str) -> Variables:
    """Map the variables of a model file by name; they are views of the file, which stays open as long.

    Args:
        path: of ``model.bin``.
        specification: the name that the file must give for itself, such as ``WhisperSpec``.

    Raises:
        ValueError: the file is damaged, or is another specification.
    """
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    try:
        return _Reader(memoryview(content)).variables(specification)
    except (struct.error, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not a complete CTranslate2 model ({error!r})") from error


class _Reader:
    """A position in the content of a file."""

    def __init__(self, content: memoryview) -> None:
        self._content = content
        self._position = 0

    def variables(self, specification: str) -> Variables:
        self._number("I")  # version of the format
        found = self._text()
        if found != specification:
            raise ValueError(f"the model is a {found}, not a {specification}")
        self._number("I")  # revision of the specification
        variables = dict(self._variable() for _ in range(self._number("I")))
        for _ in range(self._number("I")):
            alias = self._text()
            variables[alias] = variables[self._text()]
        if self._position != len(self._content):
            raise ValueError(f"{len(self._content) - self._position} bytes follow the last variable")
        return variables

    def _variable(self) -> tuple[str, NDArray[Any]]:
        name = self._text()
        shape = [self._number("I") for _ in range(self._number("B"))]
        kind = TYPES[self._number("B")]
        return name, np.frombuffer(self._take(self._number("I")), kind).reshape(shape)

    def _number(self, kind: str) -> int:
        (number,) = struct.unpack("<" + kind, self._take(struct.calcsize(kind)))
        return int(number)

    def _text(self) -> str:
        return bytes(self._take(self._number("H"))).rstrip(b"\0").decode()

    def _take(self, size: int) -> memoryview:
        taken = self._content[self._position : self._position + size]
        if len(taken) < size:
            raise ValueError("the file is cut off")
        self._position += size
        return taken
