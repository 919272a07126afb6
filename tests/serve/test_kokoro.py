"""Kokoro through the server, with its tiny stand-in: times of words as a result, as files and as events."""

import pytest

from audiograph import Audiograph
from audiograph.errors import InvalidRequest
from audiograph.schemas import SpeakResult, Turn

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

TEXT = "It costs $45 on March 3rd. The rest is free."


def test_sentences_are_events_and_files_and_the_result(client: Audiograph) -> None:
    job = client.speak(TEXT, model="kokoro", voice="af_heart:2+bm_lewis", word_timestamps=True, timeout=120)
    assert isinstance(job.result, SpeakResult)
    segments = [one.model_dump(mode="json", exclude_none=True) for one in job.result.segments or ()]
    assert [one["text"] for one in segments] == ["It costs $45 on March 3rd.", "The rest is free."]
    assert [word["word"] for word in segments[0]["words"]] == ["It", "costs", "$45", "on", "March 3rd."]
    sent = [event.data for event in client.jobs.events(job.id) if event.type == "partial"]
    assert sent == [{"segment": one} for one in segments]
    names = {artifact.name for artifact in job.artifacts}
    assert names == {"speech.wav", "speech.json", "speech.srt", "speech.vtt"}


def test_a_dialogue_times_the_words_of_its_turns(client: Audiograph) -> None:
    turns = [Turn(text="Yes.", voice="en-gb"), Turn(text="No, no.", voice="am_adam")]
    job = client.dialogue(turns, model="kokoro", word_timestamps=True, timeout=120)
    spoken = [(turn.voice, [word.word for word in turn.words or ()]) for turn in job.result.turns]
    assert spoken == [("bf_alice", ["Yes."]), ("am_adam", ["No,", "no."])]


def test_a_voice_that_cannot_be_used_is_refused_at_once(client: Audiograph) -> None:
    with pytest.raises(InvalidRequest, match=r"voice 'jf_alpha' cannot be used: Japanese"):
        client.speak(TEXT, model="kokoro", voice="jf_alpha")
