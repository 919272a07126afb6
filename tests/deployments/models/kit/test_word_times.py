"""Times of words, when speech is joined, stretched and stored."""

import json
from typing import Any

import numpy as np
import pytest

from audiograph.schemas import DialogueRequest, DialogueResult, Segment, SpeakRequest, SpeakResult, Turn, Word
from deployments.audio.fades import PAUSE_SECONDS
from deployments.models.base import FileOutput, Output
from deployments.models.kit.dialogue import SpokenPart, spoken_output
from deployments.models.kit.speech_model import SpeechModel
from deployments.models.kit.word_times import moved_segment
from deployments.models.mock import Mock, MockOptions

RATE = 24_000
HELLO = Segment(
    id=0,
    start=0.2,
    end=1.0,
    text="Hello you.",
    words=[Word(word="Hello", start=0.2, end=0.5), Word(word="you.", start=0.6, end=1.0)],
)
DIALOGUE = DialogueRequest(turns=[Turn(text="Hello you."), Turn(text="Hello you.")], word_timestamps=True)


class Timed(Mock):
    times_words = True


def part(segments: list[Segment] | None) -> SpokenPart:
    samples = (0.1 * np.sin(np.arange(RATE) / 10)).astype(np.float32)
    return SpokenPart("anna", "Hello you.", samples, segments)


def output(request: Any, segments: list[Segment] | None) -> Output:
    turns = len(request.turns) if isinstance(request, DialogueRequest) else 1
    return spoken_output(request, [part(segments)] * turns, RATE, [])


def postprocessed(model: SpeechModel[Any, Any], request: Any, segments: list[Segment] | None) -> Output:
    return model.postprocess(request, output(request, segments))


def times(words: list[Word] | None) -> list[float]:
    return [time for word in words or () for time in (word.start, word.end)]


def test_a_sentence_and_its_words_move_and_shrink_together() -> None:
    moved = moved_segment(HELLO, 1.0, 2.0)
    assert (moved.start, moved.end) == (0.6, 1.0)
    assert times(moved.words) == [0.6, 0.75, 0.8, 1.0]


def test_the_words_of_turns_are_timed_in_the_whole_recording() -> None:
    result = output(DIALOGUE, [HELLO]).result
    assert isinstance(result, DialogueResult)
    assert times(result.turns[0].words) == [0.2, 0.5, 0.6, 1.0]
    assert times(result.turns[1].words) == pytest.approx(
        [1 + PAUSE_SECONDS + t for t in (0.2, 0.5, 0.6, 1.0)]
    )


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
def test_stretched_speech_has_its_words_where_they_are_heard(speed: float) -> None:
    request = SpeakRequest(text="Hello you.", speed=speed, word_timestamps=True)
    done = postprocessed(Timed(MockOptions()), request, [HELLO])
    assert isinstance(done.result, SpeakResult)
    (segment,) = done.result.segments or []
    assert times(segment.words) == pytest.approx([t / speed for t in (0.2, 0.5, 0.6, 1.0)], abs=0.001)
    texts = {file.name: file.content for file in done.files if isinstance(file, FileOutput)}
    assert json.loads(texts["speech.json"])["segments"][0]["end"] == segment.end
    assert f"--> 00:00:0{1 / speed:.3f}".replace(".", ",").encode() in texts["speech.srt"]
    assert f"--> 00:00:0{1 / speed:.3f}".encode() in texts["speech.vtt"]


def test_speech_without_times_has_no_texts() -> None:
    done = postprocessed(Timed(MockOptions()), SpeakRequest(text="Hello you."), None)
    assert [file.name for file in done.files] == ["speech"]


@pytest.mark.parametrize("request_", [SpeakRequest(text="Hello you.", word_timestamps=True), DIALOGUE])
def test_a_model_that_times_no_words_says_so(request_: Any) -> None:
    (note,) = postprocessed(Mock(MockOptions()), request_, None).result.notes
    assert "word_timestamps was ignored" in note
    assert not postprocessed(Timed(MockOptions()), request_, [HELLO]).result.notes
