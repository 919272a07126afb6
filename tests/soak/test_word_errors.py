"""Whisper base on more than half an hour of varied speech: no more words wrong than with openai-whisper."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import pytest
import torch
from rich.console import Console
from rich.table import Table

from deployments.models.whisper.timing import RawSegment
from deployments.models.whisper.transcription import Transcription
from deployments.models.whisper.windows import FRAMES_PER_SECOND, Window
from tests.soak.recordings import Recording, recordings
from tests.support.spoken import ours, theirs
from tests.support.word_errors import Difference, differences, words_of

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

MORE_WRONG = 0.003
"""Words wrong in excess of openai-whisper's, of all words."""
MINUTES = 30
SEAM_SECONDS = 1.0
"""A sentence as close to a seam as this may suffer from it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What both hear of a recording."""

    recording: Recording
    seams: Sequence[float]
    """Seconds at which Audiograph's windows begin."""
    words: int
    ours: Sequence[Difference]
    theirs: Sequence[Difference]

    @property
    def at_seams(self) -> set[int]:
        """The numbers of the words of all sentences at a seam."""
        sentences = self.recording.speech.sentences
        counts = [len(words_of(sentence.text)) for sentence in sentences]
        numbers: set[int] = set()
        for sentence, count, end in zip(sentences, counts, accumulate(counts), strict=True):
            earliest, latest = sentence.start - SEAM_SECONDS, sentence.end + SEAM_SECONDS
            if any(earliest <= seam <= latest for seam in self.seams):
                numbers |= set(range(end - count, end))
        return numbers


@pytest.fixture(scope="module")
def heard() -> list[Heard]:
    """All recordings as both hear them; prints the figures."""
    torch.manual_seed(0)  # openai-whisper draws from the global generator
    with pytest.MonkeyPatch.context() as patch:
        found = [_heard(recording, patch) for recording in recordings()]
    Console(highlight=False, width=120).print(_table(found))
    return found


def _heard(recording: Recording, patch: pytest.MonkeyPatch) -> Heard:
    starts: list[int] = []
    accept = Transcription.accept

    def noted(self: Transcription, window: Window, segments: list[RawSegment], end_frame: int) -> None:
        starts.append(window.start)
        accept(self, window, segments, end_frame)

    with patch.context() as one:
        one.setattr(Transcription, "accept", noted)
        (mine,) = ours(recording.speech.samples)
    reference = theirs(recording.speech.samples)["text"]
    said = [word for sentence in recording.speech.sentences for word in words_of(sentence.text)]
    return Heard(
        recording,
        [start / FRAMES_PER_SECOND for start in starts if start],
        len(said),
        differences(said, words_of(mine.text)),
        differences(said, words_of(reference)),
    )


def errors(found: Sequence[Difference]) -> int:
    """Count the words that were heard wrong."""
    return sum(one.errors for one in found)


def lost_or_added(found: Sequence[Difference], words: set[int]) -> list[Difference]:
    """Return the words that were dropped or added among some."""
    return [
        one
        for one in found
        if one.kind != "substitute" and not words.isdisjoint(range(one.start, max(one.end, one.start + 1)))
    ]


def _table(found: Sequence[Heard]) -> Table:
    table = Table("recordings", "minutes", "words", "ours wrong", "openai's wrong", "lost or added at seams")
    for name in dict.fromkeys(_kind(one) for one in found):
        table.add_row(name, *_figures([one for one in found if _kind(one) == name]))
    table.add_section()
    table.add_row("all", *_figures(found))
    return table


def _kind(one: Heard) -> str:
    return one.recording.name.partition(" (")[0]


def _figures(found: Sequence[Heard]) -> Iterator[str]:
    words = sum(one.words for one in found)
    yield f"{sum(one.recording.speech.seconds for one in found) / 60:.1f}"
    yield str(words)
    yield from (
        f"{count} ({count / words:.2%})"
        for count in (
            sum(errors(one.ours) for one in found),
            sum(errors(one.theirs) for one in found),
        )
    )
    mine, reference = (
        sum(errors(lost_or_added(getattr(one, who), one.at_seams)) for one in found)
        for who in ("ours", "theirs")
    )
    yield f"{mine}, openai's {reference}, of {sum(len(one.at_seams) for one in found)}"


def test_the_speech_takes_half_an_hour(heard: list[Heard]) -> None:
    assert sum(one.recording.speech.seconds for one in heard) >= MINUTES * 60


def test_no_more_words_are_wrong_than_with_openai(heard: list[Heard]) -> None:
    words = sum(one.words for one in heard)
    mine, reference = (sum(errors(getattr(one, who)) for one in heard) for who in ("ours", "theirs"))
    assert mine <= reference + MORE_WRONG * words


def test_no_more_is_lost_or_added_at_seams_than_with_openai(heard: list[Heard]) -> None:
    mine, reference = (
        [
            (one.recording.name, lost)
            for one in heard
            for lost in lost_or_added(getattr(one, who), one.at_seams)
        ]
        for who in ("ours", "theirs")
    )
    words = sum(len(one.at_seams) for one in heard)
    excess = errors([one for _, one in mine]) - errors([one for _, one in reference])
    assert excess <= MORE_WRONG * words, mine
