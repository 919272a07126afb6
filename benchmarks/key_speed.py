"""Compares the speed of key detection with Audiograph's chroma and librosa's, from samples in memory."""

from collections.abc import Callable
from functools import partial

import librosa
import numpy as np

from benchmarks.measure import Comparison, Setting, alternate
from benchmarks.sounds import KEY, song
from deployments.models.base import Samples
from deployments.models.pitch_analysis.chroma import HOP, SAMPLE_RATE, Array, EnhancedChroma, blocks
from deployments.models.pitch_analysis.key_profiles import ALBRECHT_SHANAHAN, KRUMHANSL_KESSLER, estimate_key

SECONDS = 180
LIBROSA_RATE, LIBROSA_HOP = 22_050, 512  # librosa's defaults


def compare(setting: Setting) -> list[Comparison]:
    """Detect the key of one song. Untimed first calls compile librosa's code, for most of a minute."""
    samples, librosa_samples = song(SECONDS, SAMPLE_RATE), song(SECONDS, LIBROSA_RATE)
    methods: dict[str, Callable[[], str]] = {
        "enhanced_chroma": partial(_enhanced, samples),
        "librosa chroma_cqt, same rate and hop": partial(_librosa, samples, SAMPLE_RATE, HOP),
        "librosa chroma_cqt, its defaults": partial(_librosa, librosa_samples, LIBROSA_RATE, LIBROSA_HOP),
    }
    for name, method in methods.items():
        key = method()
        assert key == KEY, f"{name} detected {key} in a song in {KEY}"
    return [Comparison(f"key detection, a song of {SECONDS} s", alternate(methods, setting.rounds(9)))]


def _enhanced(samples: Samples) -> str:
    chroma = EnhancedChroma(samples)
    mean: Array = np.concatenate([chroma(block) for block in blocks(samples)], axis=1).mean(axis=1)
    return estimate_key(mean, (KRUMHANSL_KESSLER, ALBRECHT_SHANAHAN)).key


def _librosa(samples: Samples, rate: int, hop: int) -> str:
    chroma: Array = librosa.feature.chroma_cqt(y=samples, sr=rate, hop_length=hop)
    return estimate_key(chroma.mean(axis=1), (KRUMHANSL_KESSLER,)).key
