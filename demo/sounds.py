"""Synthetic recordings of the demo, whose keys are known, so that the detected keys can be checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

SAMPLE_RATE = 44_100
Samples = NDArray[np.float64]
Voice = Callable[[float, float], Samples]
"""Renders a frequency in Hz for a duration in seconds, as samples ``[frames]``."""


@dataclass(frozen=True)
class Recording:
    """An audio file and its true key."""

    path: Path
    title: str
    key: str
    about: str


@dataclass(frozen=True)
class Note:
    """One note: start and length in beats, MIDI pitch, voice and gain."""

    start: float
    beats: float
    pitch: int
    voice: Voice
    gain: float = 1.0


def write_recordings(folder: Path) -> list[Recording]:
    """Synthesize three recordings and write them in three formats."""
    folder.mkdir(parents=True)
    song = _master(_render(_song(root=62), bpm=96))
    tune = _master(_render(_tune(root=72), bpm=120))
    waltz = _master(_render(_waltz(root=54), bpm=150, cents=20))
    crackle = np.random.default_rng(1).normal(size=waltz.shape) * 0.004
    return [
        _write(folder / "song.mp3", song, "A small song", "D minor", "chords, bass and a lead; MP3"),
        _write(folder / "tune.flac", tune, "A single melody", "C major", "Beethoven, one voice; FLAC"),
        _write(
            folder / "waltz.ogg",
            waltz + crackle,
            "A waltz from an old record",
            "F# minor",
            "20 cents sharp, with hiss; Ogg Vorbis",
        ),
    ]


def _write(path: Path, samples: Samples, title: str, key: str, about: str) -> Recording:
    soundfile.write(path, samples, SAMPLE_RATE)
    return Recording(path, title, key, about)


# Voices


def _times(seconds: float) -> Samples:
    return np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def pluck(frequency: float, seconds: float) -> Samples:
    """Render a plucked string, whose upper partials decay faster."""
    t = _times(seconds + 1.0)
    partials = (np.exp(-t * (1.2 + 0.9 * h)) * np.sin(2 * np.pi * frequency * h * t) / h for h in range(1, 9))
    return _fade(sum(partials, np.zeros_like(t)))


def flute(frequency: float, seconds: float) -> Samples:
    """Render a soft lead with delayed vibrato."""
    t = _times(seconds)
    vibrato = 0.004 * np.minimum(t / 0.5, 1) * np.sin(2 * np.pi * 5.2 * t)
    phase = 2 * np.pi * frequency * np.cumsum(1 + vibrato) / SAMPLE_RATE
    return _fade(np.sin(phase) + 0.3 * np.sin(2 * phase) + 0.08 * np.sin(3 * phase), attack=0.05)


def bass(frequency: float, seconds: float) -> Samples:
    """Render a low note of two partials."""
    t = _times(seconds)
    return _fade((np.sin(2 * np.pi * frequency * t) + 0.4 * np.sin(4 * np.pi * frequency * t)) * np.exp(-t))


def _fade(samples: Samples, attack: float = 0.005, release: float = 0.06) -> Samples:
    fade_in, fade_out = int(attack * SAMPLE_RATE), int(release * SAMPLE_RATE)
    samples[:fade_in] *= np.linspace(0, 1, fade_in)
    samples[-fade_out:] *= np.linspace(1, 0, fade_out)
    return samples


# Music, in MIDI pitches; `root` is the tonic


def _song(root: int) -> list[Note]:
    """Write a song in minor: i, VI, iv, V twice, then i; every bar has four beats."""
    chords = [(0, 3, 7), (-4, 0, 3), (-7, -4, 0), (-5, -1, 2)] * 2 + [(0, 3, 7)]
    lead: list[tuple[int, ...]] = [
        (7, 5, 3, 5),
        (3, 2, 0, 3),
        (5, 3, 0, 5),
        (7, 11, 7, 2),
        (12, 10, 7, 3),
        (8, 7, 3, 0),
    ]
    lead += [(5, 8, 7, 5), (7, 2, 11, 7), (0,)]
    notes = []
    for bar, (chord, line) in enumerate(zip(chords, lead, strict=True)):
        start = 4 * bar
        notes.append(Note(start, 4, root + chord[0] - 24, bass, 0.9))
        arpeggio = (*chord, chord[0] + 12) * 2
        notes += [Note(start + i / 2, 1, root + p - 12, pluck, 0.45) for i, p in enumerate(arpeggio)]
        beats = 4 / len(line)
        notes += [Note(start + i * beats, beats, root + p, flute, 0.4) for i, p in enumerate(line)]
    return notes


def _tune(root: int) -> list[Note]:
    """Write the first two lines of the Ode to Joy."""
    first = [4, 4, 5, 7, 7, 5, 4, 2, 0, 0, 2, 4]
    lengths = [1.0] * 12
    endings = [([4, 2, 2], [1.5, 0.5, 2.0]), ([2, 0, 0], [1.5, 0.5, 2.0])]
    notes, start = [], 0.0
    for pitches, beats in endings:
        for pitch, length in zip(first + pitches, lengths + beats, strict=True):
            notes.append(Note(start, length, root + pitch, flute))
            start += length
    return notes


def _waltz(root: int) -> list[Note]:
    """Write a waltz in minor with a plucked melody."""
    chords = [(0, 3, 7), (0, 3, 7), (5, 8, 12), (0, 3, 7), (7, 11, 14), (7, 11, 14), (0, 3, 7), (0, 3, 7)]
    line = [12, 15, 19, 20, 19, 15, 17, 20, 24, 19, 15, 12, 14, 19, 23, 26, 23, 19, 24, 19, 15, 12, 7, 12]
    notes = []
    for bar in range(2 * len(chords)):
        chord, start = chords[bar % len(chords)], 3 * bar
        notes.append(Note(start, 1.5, root + chord[0] - 12, bass))
        notes += [Note(start + beat, 0.5, root + p, pluck, 0.25) for beat in (1, 2) for p in chord]
        bar_line = line[3 * (bar % len(chords)) :][:3]
        notes += [Note(start + i, 1, root + p + 12, pluck, 0.5) for i, p in enumerate(bar_line)]
    return notes


# Rendering


def _render(notes: Sequence[Note], *, bpm: float, cents: float = 0) -> Samples:
    """Render notes as samples ``[frames]``."""
    beat = 60 / bpm
    end = max(note.start + note.beats for note in notes) * beat + 2.0
    mix = np.zeros(int(end * SAMPLE_RATE))
    for note in notes:
        frequency = 440 * 2 ** ((note.pitch - 69 + cents / 100) / 12)
        sound = note.voice(frequency, note.beats * beat) * note.gain
        first = int(note.start * beat * SAMPLE_RATE)
        sound = sound[: len(mix) - first]
        mix[first : first + len(sound)] += sound
    return mix


def _master(dry: Samples, seconds: float = 1.2, wet: float = 0.25) -> Samples:
    """Add reverberation and normalize the peak to -1 dB; returns stereo ``[frames, 2]``."""
    noise = np.random.default_rng(0).normal(size=(int(seconds * SAMPLE_RATE), 2))
    room = noise * np.exp(-6 * _times(seconds))[:, None]
    size = 1 << (len(dry) + len(room)).bit_length()
    echo = np.fft.irfft(np.fft.rfft(dry, size)[:, None] * np.fft.rfft(room, size, axis=0), size, axis=0)
    echo = echo[: len(dry)] / np.abs(echo).max() * np.abs(dry).max()
    mixed: Samples = dry[:, None] + wet * echo
    mixed *= 10 ** (-1 / 20) / np.abs(mixed).max()
    return mixed
