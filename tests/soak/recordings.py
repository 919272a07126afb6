"""More than half an hour of varied speech: voices, accents, speeds, noise, music, silences, long files."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from deployments.models.base import Samples
from deployments.models.kokoro import voices
from tests.soak.corpus import PASSAGES, REFRAIN
from tests.support.spoken import Speech, joined, speech
from tests.support.transcription import RATE

VOICES = voices._PUBLISHED.split()
SPEEDS = (1.0, 0.85, 1.2)
PER_LONG_FILE = 9
BRIEF = (0.6,) * PER_LONG_FILE
SILENCES = (5, 40, 12, 7, 25, 5, 33, 9, 18)
"""Seconds."""

Background = Callable[[int, np.random.Generator], Samples]
"""Returns so many samples of sound that is not speech."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What is heard behind the speech."""

    name: str
    background: Background
    snr_db: float


def white(frames: int, random: np.random.Generator) -> Samples:
    """Return noise of equal power at all frequencies."""
    return random.standard_normal(frames).astype(np.float32)


def pink(frames: int, random: np.random.Generator) -> Samples:
    """Return noise of equal power in all octaves."""
    spectrum = np.fft.rfft(random.standard_normal(frames))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(frames, 1 / RATE), 20))
    return np.fft.irfft(spectrum, frames).astype(np.float32)


def music(frames: int, random: np.random.Generator) -> Samples:
    """Return decaying chords of one to two notes a second, and a beat."""
    beat = round(0.55 * RATE)
    times = np.arange(beat) / RATE
    bars: list[Samples] = []
    while len(bars) * beat < frames:
        root = random.choice([110, 131, 147, 165, 196, 220])
        notes = np.outer(root * np.array([1, 1.25, 1.5, 2, 4]), times)
        drum = random.standard_normal(beat) * np.exp(-60 * times)
        chord = (np.sin(2 * np.pi * notes) * [[1], [0.8], [0.8], [0.5], [0.2]]).sum(axis=0)
        bars.append((chord * np.exp(-2 * times) + drum).astype(np.float32))
    return np.concatenate(bars)[:frames]


NOISES = [
    *(Condition(f"white noise, {snr} dB", white, snr) for snr in (20, 10, 5)),
    *(Condition(f"pink noise, {snr} dB", pink, snr) for snr in (20, 10, 5)),
    Condition("music, 10 dB", music, 10),
]
QUIET = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of the corpus."""

    name: str
    speech: Speech


def recordings() -> list[Recording]:
    """Speak the corpus: a short recording by each voice, and long ones of several voices in turn."""
    parts = [
        speech(PASSAGES[number % len(PASSAGES)], voice, SPEEDS[number % len(SPEEDS)])
        for number, voice in enumerate(VOICES)
    ]
    return [*_short(parts), *_long(parts)]


def _short(parts: Sequence[Speech]) -> Iterator[Recording]:
    # Three in ten are quiet.
    conditions = [QUIET, *NOISES[:3], QUIET, *NOISES[3:], QUIET]
    for number, (voice, part) in enumerate(zip(VOICES, parts, strict=True)):
        condition = conditions[number % len(conditions)]
        name = condition.name if condition else "quiet"
        yield Recording(f"short, {name} ({voice})", _behind(part, condition, number))


def _long(parts: Sequence[Speech]) -> Iterator[Recording]:
    groups = [parts[start :: len(parts) // PER_LONG_FILE] for start in range(len(parts) // PER_LONG_FILE)]
    refrain = speech(REFRAIN, VOICES[0])
    yield Recording("long, quiet", joined(groups[0], BRIEF))
    yield Recording("long, silences of 5 to 40 s", joined(groups[1], SILENCES))
    repeated = [*groups[2][:4], *[refrain] * 12, *groups[2][4:]]
    yield Recording("long, a sentence twelve times", joined(repeated, (0.6,) * len(repeated)))
    yield Recording("long, music, 10 dB", _behind(joined(groups[3], BRIEF), NOISES[-1], 3))
    yield Recording("long, pink noise, 10 dB", _behind(joined(groups[4], BRIEF), NOISES[4], 4))
    yield Recording(
        "long, silences, white noise, 20 dB", _behind(joined(groups[5], SILENCES[::-1]), NOISES[0], 5)
    )


def _behind(speech: Speech, condition: Condition | None, seed: int) -> Speech:
    """Add a condition's sound behind the speech, at a level relative to that of its sentences."""
    if condition is None:
        return speech
    samples = speech.samples
    voiced = np.concatenate(
        [samples[round(one.start * RATE) : round(one.end * RATE)] for one in speech.sentences]
    )
    sound = condition.background(len(samples), np.random.default_rng(seed))
    gain = np.sqrt(np.mean(voiced**2) / np.mean(sound**2)) * 10 ** (-condition.snr_db / 20)
    return Speech((samples + gain * sound).astype(np.float32), speech.sentences)
