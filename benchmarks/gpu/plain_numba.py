"""Lets openai-whisper be imported on a machine without numba, which takes more room than all else."""

import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


def stand_in_for_numba() -> None:
    """Where numba is missing, run the functions that it would compile as the plain Python that they are.

    openai-whisper compiles two, for the times of words, which are slow without it; no measurement needs them.
    """
    if "numba" in sys.modules or importlib.util.find_spec("numba") is not None:
        return
    module = ModuleType("numba")
    vars(module)["jit"] = _uncompiled
    sys.modules["numba"] = module


def _uncompiled(**_: Any) -> Callable[[Any], Any]:
    return lambda function: function
