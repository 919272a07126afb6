"""Whisper base with OpenAI's own weights, against openai-whisper, on what Kokoro says."""

from typing import Any

import pytest

from benchmarks.kokoro_speech import SENTENCES
from tests.support.spoken import EXACT, Speech, joined, ours, speech, theirs
from tests.support.word_errors import differences, words_of

pytestmark = pytest.mark.timeout(900)

VOICES = ("af_heart", "bm_george")
LONGEST = 30.0
"""Seconds of the recordings that are one window."""
STEP = 0.001
"""Seconds to which times are rounded."""


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


@pytest.fixture(scope="module")
def heard(long: Speech) -> str:
    """What Audiograph hears of both voices."""
    (result,) = ours(long.samples, model=EXACT)
    return result.text


OPTIONS: dict[str, dict[str, Any]] = {
    "greedily": {"temperature": 0.0, "language": "en"},
    "with rising temperatures, in a detected language": {},
    "with words": {"word_timestamps": True},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_window_is_transcribed_as_by_openai(short: Speech, options: dict[str, Any]) -> None:
    (mine,), reference = ours(short.samples, model=EXACT, **options), theirs(short.samples, **options)
    assert (mine.text, mine.language) == (reference["text"].strip(), reference["language"])
    assert len(mine.segments) == len(reference["segments"])
    for segment, expected in zip(mine.segments, reference["segments"], strict=True):
        assert segment.text == expected["text"].strip()
        assert segment.start == pytest.approx(expected["start"], abs=STEP)
        assert segment.end == pytest.approx(min(expected["end"], short.seconds), abs=STEP)
        words = [(word["word"].strip(), word["start"], word["end"]) for word in expected.get("words", ())]
        assert [word.word for word in segment.words or ()] == [word for word, _, _ in words]
        assert [(word.start, word.end) for word in segment.words or ()] == [
            pytest.approx(times, abs=STEP) for _, *times in words
        ]


def test_a_long_recording_has_openais_words(long: Speech, heard: str) -> None:
    assert differences(words_of(theirs(long.samples)["text"]), words_of(heard)) == []


def test_a_sentence_is_kept_as_often_as_it_is_said() -> None:
    reading = speech("Please remember to lock the door behind you.", VOICES[0])
    (result,) = ours(joined([reading] * 8, [0.4] * 8).samples, model=EXACT)
    assert result.text.count("lock the door") == 8


def test_whisper_hears_what_kokoro_says(long: Speech, heard: str) -> None:
    said = words_of(long.text)
    wrong = differences(said, words_of(heard))
    assert sum(one.errors for one in wrong) <= 0.02 * len(said), wrong
