"""Key estimation by key profiles: the best of the 24 major and minor keys, and its confidence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.models.pitch_analysis.chroma import Array

PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEYS = tuple(f"{pitch} {mode}" for mode in ("major", "minor") for pitch in PITCHES)

Profiles = NDArray[np.float64]
"""``[24, 12]``, a row per key of `KEYS`: of zero mean and unit length, so that a product is a correlation."""


def rotations(major: Sequence[float], minor: Sequence[float]) -> Profiles:
    """Return the profiles of all keys from a major and a minor profile ``[12]`` that start at the tonic."""
    rows = np.array([np.roll(profile, shift) for profile in (major, minor) for shift in range(12)])
    rows -= rows.mean(axis=1, keepdims=True)
    normalized: Profiles = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalized


KRUMHANSL_KESSLER = rotations(  # 1982: how well listeners find that each pitch fits a key
    (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88),
    (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17),
)
ALBRECHT_SHANAHAN = rotations(  # 2013: how often each pitch occurs in a corpus of a thousand pieces
    (0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081),
    (0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052),
)
TONIC_CHORDS = rotations(
    (1, 0, 0, 0, 0.5, 0, 0, 0.6, 0, 0, 0, 0),
    (1, 0, 0, 0.5, 0, 0, 0, 0.6, 0, 0, 0, 0),
)

_ENDS_WEIGHT = 0.2
_SHARPNESS = 10.0
_CLEAR_CONTRAST = 0.5  # from here on, contrast no longer lowers the confidence
_CLEAR_BREADTH = 3.0  # a chord; with fewer pitch classes, the confidence falls
_SINGLE_SHARE = 0.5  # of the chroma; in music, the strongest pitch class has less


@dataclass(frozen=True, slots=True)
class KeyEstimate:
    """The best key, and the first candidates in order, each with its correlation."""

    key: str
    confidence: float
    """0..1."""
    candidates: list[tuple[str, float]]


def estimate_key(
    mean: Array,
    profiles: Sequence[Profiles],
    *,
    ends: Sequence[Array] = (),
    trust: float = 1.0,
    count: int = 5,
) -> KeyEstimate:
    """Rank the keys by the correlation of their profiles with a recording's mean chroma.

    This is the Krumhansl-Schmuckler algorithm (Krumhansl, 1990), extended by ``ends`` and a confidence. The
    confidence is a softmax over the ranking, sharpened so that on synthetic songs it agrees with the share of
    correct keys. If all pitch classes are about equally strong, or only one is, or ``trust`` is low, it falls
    towards 1/24. One pitch class alone is a tonic.

    Args:
        mean: the mean chroma ``[12]``.
        profiles: if several, their correlations are averaged.
        ends: chroma ``[12]`` of the first and last sounds. If both are the tonic chord, as is usual in music,
            this decides between keys of the same notes, such as C major and A minor.
        trust: reliability of the chroma, 0..1.
        count: number of candidates to return.
    """
    if is_single(mean):  # the rest are its overtones: they would choose major or minor by timbre and register
        mean = (np.arange(12) == mean.argmax()).astype(np.float32)
    correlations = np.mean([_correlate(profile, mean) for profile in profiles], axis=0)
    tonic_matches = [_correlate(TONIC_CHORDS, end) for end in ends]
    scores = correlations + (_ENDS_WEIGHT * np.min(tonic_matches, axis=0) if tonic_matches else 0.0)
    order = np.argsort(-scores, kind="stable")
    evidence = trust * _clarity(mean)
    odds = np.exp(_SHARPNESS * evidence * (scores - scores.max()))
    candidates = [(KEYS[n], float(correlations[n])) for n in order[:count]]
    return KeyEstimate(candidates[0][0], float(1 / odds.sum()), candidates)


def contrast(mean: Array) -> float:
    """Return the coefficient of variation of chroma ``[12]``: 0 if all pitch classes are equally strong."""
    return float(mean.std() / max(float(mean.mean()), 1e-9))


def breadth(mean: Array) -> float:
    """Return the effective number of pitch classes in chroma ``[12]``, 1..12: the inverse Simpson index."""
    return float(mean.sum() ** 2 / max(float(mean @ mean), 1e-12))


def is_single(mean: Array) -> bool:
    """Return whether chroma ``[12]`` is that of one pitch class, with its overtones."""
    return float(mean.max()) > _SINGLE_SHARE * float(mean.sum())


def _clarity(mean: Array) -> float:
    """Return how much mean chroma ``[12]`` tells of a key, 0..1."""
    return min(1.0, contrast(mean) / _CLEAR_CONTRAST) * min(1.0, breadth(mean) / _CLEAR_BREADTH) ** 2


def _correlate(profiles: Profiles, chroma: Array) -> NDArray[np.float64]:
    """Return the correlation of chroma ``[12]`` with each profile, ``[24]``."""
    centered = chroma - chroma.mean()
    correlations: NDArray[np.float64] = profiles @ centered / max(float(np.linalg.norm(centered)), 1e-9)
    return correlations
