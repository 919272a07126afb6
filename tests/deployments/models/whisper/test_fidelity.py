"""Whisper base with OpenAI's own weights, against openai-whisper, on what Kokoro says."""

from typing import Any

import pytest

from audiograph.schemas import TranscribeResult
from benchmarks.kokoro_speech import SENTENCES
from tests.support.spoken import Speech, joined, ours, speech, theirs
from tests.support.word_errors import differences, words_of

VOICES = ("af_heart", "bm_george")
LONGEST = 30.0
"""Seconds of the recordings that are one window."""


@pytest.fixture(scope="module")
def readings() -> list[Speech]:
    """Eight sentences by each of two voices, one of them American and one British."""
    return [speech(" ".join(SENTENCES[number::5]), voice) for number, voice in enumerate(VOICES)]


@pytest.fixture(scope="module")
def short(readings: list[Speech]) -> Speech:
    """As many sentences as fit into one window."""
    (reading, _) = readings
    return reading.until(max(one.end for one in reading.sentences if one.end < LONGEST - 1))


@pytest.fixture(scope="module")
def long(readings: list[Speech]) -> Speech:
    """Both voices in turn, for 75 s."""
    seconds = 75 - sum(reading.seconds for reading in readings)
    return joined(readings, [seconds / 2] * 2)


def words(result: TranscribeResult | dict[str, Any]) -> list[tuple[str, float, float]]:
    """Return the words and their times."""
    if isinstance(result, TranscribeResult):
        return [(word.word, word.start, word.end) for one in result.segments for word in one.words or ()]
    return [
        (word["word"].strip(), word["start"], word["end"])
        for one in result["segments"]
        for word in one["words"]
    ]


OPTIONS: dict[str, dict[str, Any]] = {
    "greedily, in a given language": {"temperature": 0.0, "language": "en"},
    "greedily, in a detected language": {"temperature": 0.0},
    "with rising temperatures": {"language": "en"},
    "with words": {"word_timestamps": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_window_is_transcribed_as_by_openai(short: Speech, options: dict[str, Any]) -> None:
    (mine,), reference = ours(short.samples, **options), theirs(short.samples, **options)
    assert (mine.text, mine.language) == (reference["text"].strip(), reference["language"])
    assert [segment.text for segment in mine.segments] == [
        one["text"].strip() for one in reference["segments"]
    ]
    times = [(one["start"], min(one["end"], short.seconds)) for one in reference["segments"]]
    assert [(one.start, one.end) for one in mine.segments] == [
        pytest.approx(pair, abs=0.001) for pair in times
    ]


def test_words_have_openais_times(short: Speech) -> None:
    (mine,), reference = (
        ours(short.samples, word_timestamps=True),
        theirs(short.samples, word_timestamps=True),
    )
    assert words(mine) == [
        (word, pytest.approx(a, abs=0.001), pytest.approx(b, abs=0.001)) for word, a, b in words(reference)
    ]


def test_a_long_recording_has_openais_words(long: Speech) -> None:
    (mine,), reference = ours(long.samples), theirs(long.samples)
    assert differences(words_of(reference["text"]), words_of(mine.text)) == []


def test_whisper_hears_what_kokoro_says(readings: list[Speech]) -> None:
    said = [words_of(reading.text) for reading in readings]
    heard = [words_of(result.text) for result in ours(*(reading.samples for reading in readings))]
    wrong = [one for pair in zip(said, heard, strict=True) for one in differences(*pair)]
    assert sum(one.errors for one in wrong) <= 0.02 * sum(map(len, said)), wrong
