# ruff: noqa: RUF001  # phonemes and marks
"""Turns words into symbols with eSpeak NG, and finds the symbols of each word."""

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from deployments.models.kit.espeak.library import TIE
from deployments.models.kokoro.symbols import MARKS, VOCABULARY

_OTHER_LANGUAGE = re.compile(r"\(\^?[a-z][a-z0-9^-]*\)")
"""The library's mark of a word that it reads in another language, such as ``(en)``."""

# Diphthongs and affricates are one symbol each, as in misaki 0.9.4, whose symbols Kokoro was trained on.
_SHARED = {"a^ɪ": "I", "a^ʊ": "W", "d^ʒ": "ʤ", "e^ɪ": "A", "t^ʃ": "ʧ", "ɔ^ɪ": "Y"}
_ENGLISH = _SHARED | {
    "ʔˌn\u0329": "ʔn",
    "ʔn\u0329": "ʔn",
    "ə^l": "ᵊl",
    "ʲo": "jo",
    "ʲə": "jə",
    "ʲ": "",
    "ɚ": "əɹ",
    "r": "ɹ",
    "x": "k",
    "ç": "k",
    "ɐ": "ə",
    "ɬ": "l",
    "\u0303": "",
}
_AMERICAN = {"o^ʊ": "O", "ɜːɹ": "ɜɹ", "ɜː": "ɜɹ", "ɪə": "iə", "ː": "", "o": "ɔ", "ɾ": "T", "ʔ": "t"}
_BRITISH = {"e^ə": "ɛː", "iə": "ɪə", "ə^ʊ": "Q", "o": "ɔ", "ɾ": "T", "ʔ": "t"}
_OTHERS = _SHARED | {"d^z": "ʣ", "o^ʊ": "O", "ə^ʊ": "Q", "s^s": "S", "t^s": "ʦ", "-": ""}
_NOTATIONS = {"en-us": (_ENGLISH, _AMERICAN), "en-gb": (_ENGLISH, _BRITISH)}
_SYLLABIC = re.compile(r"(\S)\u0329")

_SILENT = f" ˈˌː{MARKS}"
"""Symbols that belong to no sound of a word."""


def symbols_of(phonemes: str, language: str) -> str:
    """Translate the phonemes of eSpeak NG into symbols of the vocabulary."""
    text = _OTHER_LANGUAGE.sub("", phonemes)
    for notation in _NOTATIONS.get(language, (_OTHERS,)):
        for old, new in notation.items():
            text = text.replace(old, new)
        text = _SYLLABIC.sub(r"ᵊ\1", text)
    text = unicodedata.normalize("NFD", text.replace(TIE, ""))
    return " ".join("".join(symbol for symbol in text if symbol in VOCABULARY).split())


def locate(words: Sequence[str], whole: str) -> list[tuple[int, int]]:
    """Find the symbols of each word in those of all words together, which are not just joined.

    Words that follow each other change each other: ``of`` and ``the`` become ``ʌvðə``. So the symbols of the
    words alone are aligned with the whole.

    Args:
        words: symbols of each word alone, in order.
        whole: symbols of the words together.

    Returns:
        Start and end in `whole` of each word; they follow each other without overlap.
    """
    sounds = [place for place, symbol in enumerate(whole) if symbol not in _SILENT]
    alone = ["".join(symbol for symbol in word if symbol not in _SILENT) for word in words]
    starts = _matched("".join(alone), "".join(whole[place] for place in sounds))
    edges, read = [], 0
    for word in alone:
        edges.append(starts[read])
        read += len(word)
    edges.append(len(sounds))
    return [_span(sounds, first, last, whole) for first, last in pairwise(edges)]


def _matched(alone: str, whole: str) -> list[int]:
    """Map each place in `alone`, its end included, to the place in `whole` that it is aligned with."""
    places = [0] * len(alone) + [len(whole)]
    blocks = SequenceMatcher(None, alone, whole, autojunk=False).get_opcodes()
    for _, start, end, first, last in blocks:
        for place in range(start, end):
            places[place] = first + (place - start) * (last - first) // (end - start)
    return places


def _span(sounds: Sequence[int], first: int, last: int, whole: str) -> tuple[int, int]:
    """Return the symbols from the first sound to the one before the last, with stress marks and lengths."""
    end = sounds[last - 1] + 1 if last else 0
    while 0 < end < len(whole) and whole[end] in "ːʲ":
        end += 1
    if first >= last:  # nothing of it is heard
        return end, end
    start = sounds[first]
    while start and whole[start - 1] in "ˈˌ":
        start -= 1
    return start, end
