"""Words of a text that were heard wrong: substituted, dropped or added."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import jiwer
from whisper.normalizers import EnglishTextNormalizer


@dataclass(frozen=True, slots=True)
class Difference:
    """Words in a row that were heard wrong in one way."""

    kind: str
    """``"substitute"``, ``"delete"`` or ``"insert"``."""
    start: int
    end: int
    """Among the words that were said; an insertion lies between two of them."""
    said: Sequence[str]
    heard: Sequence[str]

    @property
    def errors(self) -> int:
        """Number of words."""
        return max(len(self.said), len(self.heard))


def words_of(text: str) -> list[str]:
    """Split English into words, spelled in one way (`EnglishTextNormalizer`)."""
    words: list[str] = _normalizer()(text).split()
    return words


def differences(said: Sequence[str], heard: Sequence[str]) -> list[Difference]:
    """Align the words that were heard with those that were said."""
    return list(_differences(said, heard))


def _differences(said: Sequence[str], heard: Sequence[str]) -> Iterator[Difference]:
    (chunks,) = jiwer.process_words(" ".join(said), " ".join(heard)).alignments
    for chunk in chunks:
        if chunk.type != "equal":
            start, end = chunk.ref_start_idx, chunk.ref_end_idx
            yield Difference(
                chunk.type, start, end, said[start:end], heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
            )


@cache
def _normalizer() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()
