"""More than half an hour of varied speech: voices, accents, speeds, noise, music, silences."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from deployments.models.base import Samples
from deployments.models.kokoro.voices import NAMES
from tests.soak.corpus import REFRAIN, SENTENCES
from tests.support.spoken import Speech, joined, speech
from tests.support.transcription import RATE

SPEEDS = (1.0, 0.85, 1.2)
SILENCES = (5, 0.4, 0.4, 0.4, 40, 0.4, 0.4, 12, 7, 0.4, 0.4, 0.4, 0.4, 25, 0.4, 0.4, 33, 9, 0.4, 0.4, 18)
"""Seconds behind the first sentences."""
BREATH = 0.4
"""Seconds behind other sentences."""
REPEATED = 12
"""Times that one sentence is said in a row."""
SHORT, SHORT_FILES = 9, 7
"""Sentences of a short recording, and number of these."""

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
    Condition(f"{name} noise, {snr} dB", noise, snr)
    for name, noise in (("white", white), ("pink", pink))
    for snr in (20, 10, 5)
]
MUSIC = Condition("music, 10 dB", music, 10)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of the corpus."""

    name: str
    speech: Speech


def recordings() -> Iterator[Recording]:
    """Speak a sentence with each voice, and yield recordings of all of them in turn, and of some."""
    spoken = [
        speech(SENTENCES[number % len(SENTENCES)], voice, SPEEDS[number % len(SPEEDS)])
        for number, voice in enumerate(NAMES)
    ]
    yield from compiled(spoken, speech(REFRAIN, NAMES[0]))


def compiled(spoken: Sequence[Speech], refrain: Speech) -> Iterator[Recording]:
    """Compile recordings of sentences, in another order each, and of one that is repeated."""
    random = np.random.default_rng(0)

    def shuffled(count: int = len(spoken)) -> list[Speech]:
        return [spoken[index] for index in random.permutation(len(spoken))[:count]]

    some = shuffled()
    yield Recording("silences of 5 to 40 s", joined(some, [*SILENCES, *[BREATH] * len(some)][: len(some)]))
    some = shuffled()
    some[9:9] = [refrain] * REPEATED
    yield Recording("a sentence twelve times", joined(some, [BREATH] * len(some)))
    for number, condition in enumerate(NOISES):
        some = shuffled(len(spoken) // 2)
        yield Recording(condition.name, _behind(joined(some, [BREATH] * len(some)), condition, number))
    some = shuffled()
    yield Recording(MUSIC.name, _behind(joined(some, [BREATH] * len(some)), MUSIC, len(NOISES)))
    for _ in range(SHORT_FILES):
        some = shuffled(SHORT)
        yield Recording("short and quiet", joined(some, [BREATH] * len(some)))


def _behind(speech: Speech, condition: Condition, seed: int) -> Speech:
    """Add a condition's sound behind the speech, at a level relative to that of its sentences."""
    samples = speech.samples
    voiced = np.concatenate(
        [samples[round(one.start * RATE) : round(one.end * RATE)] for one in speech.sentences]
    )
    sound = condition.background(len(samples), np.random.default_rng(seed))
    gain = np.sqrt(np.mean(voiced**2) / np.mean(sound**2)) * 10 ** (-condition.snr_db / 20)
    return Speech((samples + gain * sound).astype(np.float32), speech.sentences)
