"""Short synthetic songs in known keys, to score key detection: tones, chords, scales, noise and drums.

A seed determines all songs of a set; octave, tempo, voicing, tuning and noise differ from song to song.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono ``[frames]`` at `RATE`."""
Signal = NDArray[np.float64]
"""The same before it is scaled and rounded."""
Timbre = Callable[[float, float, np.random.Generator], Signal]
"""A tone of a frequency in Hz and a duration in seconds."""
Note = tuple[float, float, Sequence[int]]
"""Start and duration in beats, and the MIDI note numbers."""
Composition = Callable[[int, bool, np.random.Generator], list[Note]]
"""The notes of a piece, from the MIDI number of its tonic and whether it is minor."""

RATE = 22_050
"""Sample rate in Hz."""
PITCHES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
KEYS = tuple(f"{pitch} {mode}" for mode in ("major", "minor") for pitch in PITCHES)
MAJOR = (0, 2, 4, 5, 7, 9, 11)
NATURAL_MINOR = (0, 2, 3, 5, 7, 8, 10)
HARMONIC_MINOR = (0, 2, 3, 5, 7, 8, 11)


@dataclass(frozen=True)
class Song:
    """A song with its key and the settings that it was synthesized with."""

    key: str
    """Such as ``"F# minor"``."""
    kind: str
    timbre: str
    cents: float
    """Detuning."""
    snr_db: float
    samples: Samples


def sines(frequency: float, seconds: float, rng: np.random.Generator) -> Signal:
    """Synthesize six harmonics with amplitudes 1/h, random phases and a soft attack."""
    return _harmonics(frequency, seconds, rng, range(1, 7)) * _envelope(seconds)


def square(frequency: float, seconds: float, rng: np.random.Generator) -> Signal:
    """Synthesize odd harmonics only, as of a clarinet or a square wave."""
    return _harmonics(frequency, seconds, rng, range(1, 16, 2)) * _envelope(seconds)


def plucked(frequency: float, seconds: float, rng: np.random.Generator) -> Signal:
    """Synthesize decaying harmonics; higher ones decay faster, and are sharp as on a stiff string."""
    time = _time(seconds)
    tone = np.zeros_like(time)
    for h in range(1, 11):
        partial = frequency * h * np.sqrt(1 + 0.0002 * h * h)
        if partial < RATE / 2:
            tone += np.sin(2 * np.pi * partial * time + rng.uniform(0, 6.28)) * np.exp(-time * (1 + h)) / h
    return tone


def brassy(frequency: float, seconds: float, rng: np.random.Generator) -> Signal:
    """Synthesize vibrato and a third harmonic louder than the fundamental, which misleads chroma features."""
    time = _time(seconds)
    phase = 2 * np.pi * frequency * time + 0.3 * np.sin(2 * np.pi * 5.5 * time)
    tone = np.zeros_like(time)
    for h, amplitude in enumerate((0.5, 0.7, 1.0, 0.6, 0.5, 0.3), 1):
        tone += amplitude * np.sin(h * phase + rng.uniform(0, 6.28))
    return tone * _envelope(seconds)


TIMBRES: dict[str, Timbre] = {"sines": sines, "square": square, "plucked": plucked}
HARD_TIMBRES: dict[str, Timbre] = {"brassy": brassy}


def cadence(tonic: int, minor: bool, rng: np.random.Generator) -> list[Note]:
    """Compose I-IV-V-I, or i-iv-v-i with v or V, in random inversions, sometimes with a bass."""
    scale = (HARMONIC_MINOR if rng.random() < 0.5 else NATURAL_MINOR) if minor else MAJOR
    bass = rng.random() < 0.5
    notes: list[Note] = []
    for beat, degree in enumerate((0, 3, 4, 0)):
        chord = [tonic + p for p in _triad(scale, degree, int(rng.integers(3)))]
        root = tonic + scale[degree] - 12
        notes.append((2.0 * beat, 2.0, [*chord, root] if bass else chord))
    return notes


def scale(tonic: int, minor: bool, rng: np.random.Generator) -> list[Note]:
    """Compose one octave up, or up and down; a minor scale is natural or harmonic."""
    steps = (HARMONIC_MINOR if rng.random() < 0.5 else NATURAL_MINOR) if minor else MAJOR
    degrees = [*steps, 12]
    if rng.random() < 0.5:
        degrees += degrees[-2::-1]
    return [(float(n), 1.0, [tonic + degree]) for n, degree in enumerate(degrees)]


def triad(tonic: int, minor: bool, rng: np.random.Generator) -> list[Note]:
    """Compose the tonic chord alone, in random inversions."""
    steps = NATURAL_MINOR if minor else MAJOR
    return [(2.0 * n, 2.0, [tonic + p for p in _triad(steps, 0, int(rng.integers(3)))]) for n in range(3)]


def progression(tonic: int, minor: bool, rng: np.random.Generator) -> list[Note]:
    """Compose eight chords of the key: the tonic, four random ones, and the cadence IV-V-I."""
    steps = NATURAL_MINOR if minor else MAJOR
    degrees = [0, *rng.choice([0, 2, 3, 4, 5], 4), 3, 4, 0]
    return [
        (float(n), 1.0, [tonic + p for p in _triad(steps, int(degree), int(rng.integers(3)))])
        for n, degree in enumerate(degrees)
    ]


def melody(tonic: int, minor: bool, rng: np.random.Generator) -> list[Note]:
    """Compose a single random voice with the tonic triad on strong beats; it ends on the tonic."""
    steps = NATURAL_MINOR if minor else MAJOR
    degrees = [0]
    for n in range(1, 15):
        strong = n % 2 == 0
        degrees.append(int(rng.choice([0, 2, 4] if strong else [1, 2, 3, 4, 5, 6])))
    degrees.append(0)
    return [(n / 2, 0.5, [tonic + steps[degree]]) for n, degree in enumerate(degrees)]


def song_like(tonic: int, minor: bool, rng: np.random.Generator) -> list[Note]:
    """Compose chords, a bass and a melody."""
    chords = progression(tonic, minor, rng)
    bass = [(start, length, [min(pitches) - 24]) for start, length, pitches in chords]
    return (
        chords
        + bass
        + [(start, length, [p + 12 for p in ps]) for start, length, ps in melody(tonic, minor, rng)]
    )


KINDS: dict[str, Composition] = {"cadence": cadence, "scale": scale}
HARD_KINDS: dict[str, Composition] = {
    "triad": triad,
    "progression": progression,
    "melody": melody,
    "song_like": song_like,
}


def songs(
    kinds: Sequence[str] = tuple(KINDS),
    timbres: Sequence[str] = tuple(TIMBRES),
    *,
    seed: int = 0,
    snr_db: tuple[float, float] = (10, 20),
    drums: bool = False,
) -> Iterator[Song]:
    """Yield a song for every key, kind and timbre, detuned by up to 20 cents, with noise of the given SNR."""
    rng = np.random.default_rng(seed)
    for kind in kinds:
        for timbre in timbres:
            for key in KEYS:
                yield _song(key, kind, timbre, rng, snr_db=snr_db, drums=drums)


def render(
    notes: Sequence[Note], timbre: str, cents: float, beats_per_second: float, rng: np.random.Generator
) -> Samples:
    """Synthesize notes with a peak of 0.5."""
    voice = (TIMBRES | HARD_TIMBRES)[timbre]
    end = max(start + length for start, length, _ in notes)
    track = np.zeros(round((end / beats_per_second + 0.2) * RATE))
    for start, length, pitches in notes:
        for pitch in pitches:
            tone = voice(440 * 2 ** ((pitch - 69 + cents / 100) / 12), length / beats_per_second, rng)
            first = round(start / beats_per_second * RATE)
            track[first : first + len(tone)] += tone * rng.uniform(0.8, 1.2)
    samples: Samples = (track / np.abs(track).max() / 2).astype(np.float32)
    return samples


def add_noise(samples: Samples, snr_db: float, rng: np.random.Generator) -> Samples:
    """Add white noise at a signal-to-noise ratio in dB."""
    power = float(np.mean(samples**2)) / 10 ** (snr_db / 10)
    return samples + rng.normal(0, np.sqrt(power), samples.shape).astype(np.float32)


def add_drums(samples: Samples, rng: np.random.Generator) -> Samples:
    """Add a gliding kick drum and bursts of noise by turns, one every quarter of a second."""
    drummed = samples.copy()
    time = _time(0.15)
    kick = np.sin(2 * np.pi * (40 * time + 15 * (1 - np.exp(-time * 20)))) * np.exp(-time * 20)
    for n, first in enumerate(range(0, len(samples) - len(time), RATE // 4)):
        hit = kick if n % 2 == 0 else rng.normal(0, 0.5, len(time)) * np.exp(-time * 40)
        drummed[first : first + len(time)] += 0.5 * hit.astype(np.float32)
    return drummed


def _song(
    key: str, kind: str, timbre: str, rng: np.random.Generator, *, snr_db: tuple[float, float], drums: bool
) -> Song:
    pitch, mode = key.split()
    tonic = 48 + PITCHES.index(pitch) + 12 * int(rng.integers(2))
    cents, noise = float(rng.uniform(-20, 20)), float(rng.uniform(*snr_db))
    notes = (KINDS | HARD_KINDS)[kind](tonic, mode == "minor", rng)
    samples = render(notes, timbre, cents, float(rng.uniform(2.0, 4.0)), rng)
    if drums:
        samples = add_drums(samples, rng)
    return Song(key, kind, timbre, cents, noise, add_noise(samples, noise, rng))


def _triad(scale: Sequence[int], degree: int, inversion: int) -> list[int]:
    pitches = [scale[(degree + step) % 7] + 12 * ((degree + step) // 7) for step in (0, 2, 4)]
    return sorted([*pitches[inversion:], *(pitch + 12 for pitch in pitches[:inversion])])


def _harmonics(frequency: float, seconds: float, rng: np.random.Generator, numbers: range) -> Signal:
    """Add up harmonics with amplitudes 1/h and random phases, without those above the Nyquist frequency."""
    time = _time(seconds)
    tone = np.zeros_like(time)
    for h in numbers:
        if frequency * h < RATE / 2:
            tone += 1 / h * np.sin(2 * np.pi * frequency * h * time + rng.uniform(0, 6.28))
    return tone


def _envelope(seconds: float) -> Signal:
    time = _time(seconds)
    envelope: Signal = np.minimum(1, np.minimum(time / 0.02, (seconds - time) / 0.05)).clip(0)
    return envelope


def _time(seconds: float) -> Signal:
    time: Signal = np.arange(round(seconds * RATE)) / RATE
    return time
