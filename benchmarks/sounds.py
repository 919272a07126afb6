"""A synthetic song of any duration, the same in every run."""

from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.songs import HARD_KINDS, RATE, render
from deployments.models.base import Samples

KEY = "D minor"
_TONIC = 62


def song(seconds: float, sample_rate: int) -> Samples:
    """Synthesize chords, a bass and a melody in `KEY` as mono samples ``[frames]`` at a sample rate in Hz."""
    rng = np.random.default_rng(0)
    frames = round(seconds * RATE)
    phrases: list[Samples] = []
    while sum(map(len, phrases)) < frames:
        notes = HARD_KINDS["song_like"](_TONIC, True, rng)
        phrases.append(render(notes, "plucked", cents=8, beats_per_second=2, rng=rng))
    samples: Samples = soxr.resample(np.concatenate(phrases)[:frames], RATE, sample_rate)
    return samples


def write_song(path: Path, seconds: float, sample_rate: int, channels: int = 1) -> Path:
    """Write the song as a 16-bit WAV file and return its path."""
    samples = song(seconds, sample_rate)
    soundfile.write(path, np.stack([samples] * channels, axis=1), sample_rate, subtype="PCM_16")
    return path
