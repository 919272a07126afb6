"""Which of the 24 major and minor keys fits a chroma best, and how sure one can be."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEYS = tuple(f"{pitch} {mode}" for mode in ("major", "minor") for pitch in PITCHES)

Array = NDArray[np.float32]
Templates = NDArray[np.float64]
"""One row for each of `KEYS`, without its mean and of length 1, so that a product is a correlation."""


def templates(major: Sequence[float], minor: Sequence[float]) -> Templates:
    """The 24 rotations of a major and a minor profile that start at the tonic."""
    rows = np.array([np.roll(profile, shift) for profile in (major, minor) for shift in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    normalized: Templates = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalized


KRUMHANSL_KESSLER = templates(  # 1982: how well listeners find that a pitch fits
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)
ALBRECHT_SHANAHAN = templates(  # 2013: how often pitches occur in a corpus of a thousand pieces
    (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
    (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
)
TONIC_CHORDS = templates(
    (1, 0, 0, 0, 0.5, 0, 0, 0.6, 0, 0, 0, 0),
    (1, 0, 0, 0.5, 0, 0, 0, 0.6, 0, 0, 0, 0),
)

_ENDS_WEIGHT = 0.2
_SHARPNESS = 10.0
_DISTINCT = 0.5


@dataclass(frozen=True, slots=True)
class KeyEstimate:
    """The best key, and the runners-up in order, each with its correlation."""

    key: str
    confidence: float
    candidates: list[tuple[str, float]]


def estimate_key(
    mean: Array,
    profiles: Sequence[Templates],
    *,
    ends: Sequence[Array] = (),
    trust: float = 1.0,
    count: int = 5,
) -> KeyEstimate:
    """Rank the keys by how well their profiles correlate with a mean chroma ``[12]``.

    Args:
        mean: the recording's mean chroma.
        profiles: correlations with several are averaged.
        ends: chroma of the first and last sounds. Where both are the tonic chord, as music likes it, that
            decides between keys of the same notes, such as C major and A minor.
        trust: how far the chroma can be believed, 0..1.
        count: how many candidates to give.

    The confidence is a softmax over the ranking, as sharp as makes it right as often as it says on synthetic
    songs; where all pitches sound about alike, as in noise, or ``trust`` is low, it goes down to one in 24.
    """
    correlations = np.mean([_correlate(profile, mean) for profile in profiles], axis=0)
    homes = [_correlate(TONIC_CHORDS, end) for end in ends]
    scores = correlations + (_ENDS_WEIGHT * np.min(homes, axis=0) if homes else 0.0)
    order = np.argsort(scores)[::-1]
    evidence = trust * min(1.0, contrast(mean) / _DISTINCT)
    odds = np.exp(_SHARPNESS * evidence * (scores - scores.max()))
    candidates = [(KEYS[n], float(correlations[n])) for n in order[:count]]
    return KeyEstimate(candidates[0][0], float(1 / odds.sum()), candidates)


def contrast(mean: Array) -> float:
    """How much the pitch classes differ: their standard deviation over their mean; 0 if all are alike."""
    return float(mean.std() / max(float(mean.mean()), 1e-9))


def _correlate(profile: Templates, chroma: Array) -> NDArray[np.float64]:
    centered = chroma - chroma.mean()
    correlations: NDArray[np.float64] = profile @ centered / max(float(np.linalg.norm(centered)), 1e-9)
    return correlations
