"""Trims the silence around speech, and times its words."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from audiograph.schemas import Word
from deployments.audio.fades import fade
from deployments.audio.loudness import normalize_loudness, prevent_clipping
from deployments.models.base import Samples
from deployments.models.kit.word_times import DIGITS
from deployments.models.kokoro.engine import FRAME_SAMPLES, SAMPLE_RATE, Utterance
from deployments.models.kokoro.script import Located, Piece
from deployments.models.kokoro.symbols import MARKS

LEAD_FRAMES = 2
"""Frames by which the sound of a symbol comes before its duration says."""
SILENCE = 0.02
"""Level below which nothing is heard, as a fraction of the highest one."""
_WINDOW = 240
"""Samples over which the level is measured: 10 ms."""
_MARGIN_BEFORE, _MARGIN_AFTER = 0.02, 0.06
"""Seconds that are kept around the speech: a beginning is softer than the level, and an end decays."""


@dataclass(frozen=True, slots=True)
class SpokenPiece:
    """The speech of a piece: mono samples ``[frames]`` at equal loudness, and its words in seconds of it."""

    samples: Samples
    words: list[Word]


def trimmed(piece: Piece, utterance: Utterance) -> SpokenPiece:
    """Cut off the silence around an utterance, normalize its loudness, and time the words."""
    loud = _loud(utterance.samples)
    if not len(loud):
        return SpokenPiece(utterance.samples[:0], [])
    start = max(0, loud[0] - round(_MARGIN_BEFORE * SAMPLE_RATE))
    end = min(len(utterance.samples), loud[-1] + 1 + round(_MARGIN_AFTER * SAMPLE_RATE))
    samples = fade(normalize_loudness(utterance.samples[start:end], SAMPLE_RATE), SAMPLE_RATE)
    words = [_shifted(word, start, end) for word in _timed(piece, utterance, loud)]
    return SpokenPiece(prevent_clipping(samples), words)


def _loud(samples: Samples) -> np.ndarray:
    """Return the numbers of the samples that are heard."""
    power = np.convolve(np.square(samples), np.full(_WINDOW, 1 / _WINDOW, np.float32), "same")
    return np.flatnonzero(power > np.square(SILENCE) * power.max(initial=0))


def _timed(piece: Piece, utterance: Utterance, loud: np.ndarray) -> Iterator[Word]:
    """Yield the words with start and end in samples; a word without symbols of its own has no duration."""
    lead = min(LEAD_FRAMES, int(utterance.frames[0]))
    edges = np.maximum(0, np.cumsum(utterance.frames) - lead) * FRAME_SAMPLES  # [n]: start of symbol n
    for word in piece.words:
        start, end = edges[word.start], edges[word.end]
        if word.end > word.start and _before_pause(piece, word):
            heard = loud[np.searchsorted(loud, start) : np.searchsorted(loud, end)]
            end = heard[-1] + 1 if len(heard) else end
        yield Word(word=word.text, start=float(start), end=float(end))


def _before_pause(piece: Piece, word: Located) -> bool:
    """Return whether a mark or the end follows: the last symbol before it lasts through the pause."""
    return word.end >= len(piece.symbols) or piece.symbols[word.end] in MARKS


def _shifted(word: Word, start: int, end: int) -> Word:
    """Return a word in seconds of the samples from start to end."""
    times = (min(max(time, start), end) - start for time in (word.start, word.end))
    first, last = (round(float(time) / SAMPLE_RATE, DIGITS) for time in times)
    return word.model_copy(update={"start": first, "end": last})
