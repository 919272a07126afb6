# other scripts
"""Requests to Kokoro, with the tiny stand-in of its graph."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audiograph.errors import Canceled, InvalidRequest, WeightsMissing
from audiograph.schemas import DialogueRequest, DialogueResult, SpeakRequest, SpeakResult
from deployments.models.base import AudioOutput, Output
from deployments.models.kokoro.engine import SAMPLE_RATE, Engine
from deployments.models.kokoro.model import Kokoro, KokoroOptions
from deployments.models.loading import load
from deployments.models.weights import hub, sources
from tests.deployments.models.fakes import FakeContext

TWO = "Every job is durable. The second sentence follows!"
SILENT_LETTER = "\N{MODIFIER LETTER TURNED COMMA}"
VARIANT = Kokoro.default_variant

Speak = Callable[..., Output]


@pytest.fixture
def speak(model: Kokoro, engine: Engine) -> Speak:
    """Check, run and postprocess a request to speak."""

    def run(text: str = TWO, context: FakeContext | None = None, **fields: Any) -> Output:
        request = SpeakRequest.model_validate({"text": text, **fields})
        model.check_request(request, VARIANT)
        return model.postprocess(request, model.run(engine, request, context or FakeContext()))

    return run


@pytest.fixture
def converse(model: Kokoro, engine: Engine) -> Speak:
    """Check, run and postprocess a dialogue of ``(voice, text)``."""

    def run(*turns: tuple[str | None, str], context: FakeContext | None = None, **fields: Any) -> Output:
        spoken = [{"voice": voice, "text": text} for voice, text in turns]
        request = DialogueRequest.model_validate({"turns": spoken, **fields})
        model.check_request(request, VARIANT)
        return model.postprocess(request, model.run(engine, request, context or FakeContext()))

    return run


def samples(output: Output) -> np.ndarray:
    (audio,) = [file for file in output.files if isinstance(file, AudioOutput)]
    return audio.frames()[:, 0]


def spoken(output: Output) -> SpeakResult:
    assert isinstance(output.result, SpeakResult)
    return output.result


def test_speech_is_mono_at_24_khz_within_full_scale(speak: Speak) -> None:
    output = speak()
    assert (spoken(output).voice, spoken(output).sample_rate) == ("af_heart", SAMPLE_RATE)
    assert len(samples(output)) == round(spoken(output).duration * SAMPLE_RATE) > SAMPLE_RATE
    assert 0.01 < np.abs(samples(output)).max() <= 1


def test_equal_requests_are_spoken_equally(speak: Speak) -> None:
    np.testing.assert_array_equal(samples(speak()), samples(speak()))


def test_each_voice_speaks_differently(speak: Speak) -> None:
    assert not np.array_equal(samples(speak(voice="af_heart")), samples(speak(voice="bm_george")))


def test_a_mixture_of_one_voice_is_the_voice(speak: Speak) -> None:
    alone, mixed = samples(speak(voice="am_michael")), samples(speak(voice="am_michael:3+am_michael"))
    np.testing.assert_allclose(alone, mixed, atol=1e-4)


@pytest.mark.parametrize("speed", [0.25, 0.8, 1.25, 4.0])
def test_speed_is_honored_within_the_model_and_beyond_it(speak: Speak, speed: float) -> None:
    text = "A sentence that is long enough to be measured, one that goes on for quite a while."
    normal, changed = spoken(speak(text)).duration, spoken(speak(text, speed=speed)).duration
    assert changed == pytest.approx(normal / speed, rel=0.12)  # the model rounds each symbol to 25 ms


def test_words_are_timed_on_request_only(speak: Speak) -> None:
    assert spoken(speak()).segments is None
    first, second = spoken(speak(word_timestamps=True)).segments or []
    assert [first.text, second.text] == ["Every job is durable.", "The second sentence follows!"]
    assert [word.word for word in first.words or ()] == ["Every", "job", "is", "durable."]


@pytest.mark.parametrize("speed", [0.25, 1.0, 3.0])
def test_words_follow_each_other_within_their_sentences(speak: Speak, speed: float) -> None:
    output = speak(word_timestamps=True, speed=speed)
    ends = [0.0]
    for segment in spoken(output).segments or ():
        times = [time for word in segment.words or () for time in (word.start, word.end)]
        assert times == sorted(times)
        assert ends[-1] <= segment.start <= times[0] < times[-1] <= segment.end
        ends.append(segment.end)
    assert ends[-1] == pytest.approx(spoken(output).duration, abs=0.002)


def test_timed_sentences_are_stored_as_files(speak: Speak) -> None:
    files = {file.name: file for file in speak(word_timestamps=True, speed=2).files}
    assert set(files) == {"speech", "speech.json", "speech.srt", "speech.vtt"}
    stored = json.loads(files["speech.json"].content)
    assert [segment["text"] for segment in stored["segments"]] == [
        "Every job is durable.",
        "The second sentence follows!",
    ]
    assert files["speech.srt"].content.startswith(b"1\n00:00:00,")


@pytest.mark.parametrize("speed", [1.0, 3.0])
def test_each_sentence_is_announced_with_the_times_of_the_result(speak: Speak, speed: float) -> None:
    context = FakeContext()
    output = speak(context=context, word_timestamps=True, speed=speed)
    segments = [segment.model_dump(exclude_none=True) for segment in spoken(output).segments or ()]
    assert [partial["segment"] for partial in context.partials] == segments


def test_a_dialogue_times_the_words_of_each_turn(converse: Speak) -> None:
    context = FakeContext()
    output = converse(("af_heart", TWO), ("am_adam", "Yes, indeed."), word_timestamps=True, context=context)
    assert isinstance(output.result, DialogueResult)
    first, second = output.result.turns
    assert [word.word for word in second.words or ()] == ["Yes,", "indeed."]
    assert second.start <= (second.words or [])[0].start < (second.words or [])[-1].end <= second.end
    announced = [word for partial in context.partials for word in partial["segment"]["words"]]
    recorded = [word for turn in (first, second) for word in turn.words or ()]
    assert [word["word"] for word in announced] == [word.word for word in recorded]
    np.testing.assert_allclose(
        [word["start"] for word in announced], [word.start for word in recorded], atol=0.002
    )
    assert [partial["segment"]["id"] for partial in context.partials] == [0, 1, 2]


def test_a_text_without_sounds_is_refused_with_its_turn(converse: Speak) -> None:
    with pytest.raises(InvalidRequest) as caught:
        converse((None, "Yes."), (None, SILENT_LETTER))
    assert caught.value.field == "turns.1.text"


def test_a_speech_that_is_too_long_is_refused(engine: Engine) -> None:
    model = Kokoro(KokoroOptions(max_seconds=3))
    request = SpeakRequest(text=f"{TWO} {TWO}")
    with pytest.raises(InvalidRequest, match="more than 3 s") as caught:
        model.run(engine, request, FakeContext())
    assert caught.value.field == "text"


def test_a_cancel_ends_the_speech(speak: Speak) -> None:
    with pytest.raises(Canceled):
        speak(TWO * 20, FakeContext(cancel_after=3))


def test_unknown_parameters_and_seeds_are_explained(speak: Speak) -> None:
    with pytest.raises(InvalidRequest, match=r"parameters\.pitch is unknown"):
        speak(parameters={"pitch": 3})
    assert any("seed has no effect" in note for note in speak(seed=1).result.notes)


@pytest.mark.parametrize(
    ("voice", "reason"),
    [
        ("jf_alpha", "Japanese"),
        ("zm_yunxi", "Chinese"),
        ("hf_beta", "Hindi"),
        ("af_heart+nobody", "nobody"),
        ("af_heart:0+am_adam", "above 0"),
        ("af_heart:x+am_adam", "no weight"),
        ("af_heart+", "has no voice"),
        ("+".join(["af_heart"] * 9), "at most 8"),
    ],
)
def test_voices_that_cannot_be_used_are_refused_at_submission(model: Kokoro, voice: str, reason: str) -> None:
    assert model.own_voice(voice, [known.id for known in model.voices()]) == voice
    request = DialogueRequest.model_validate({"turns": [{"text": "Yes."}, {"text": "No.", "voice": voice}]})
    with pytest.raises(InvalidRequest, match=reason) as caught:
        model.check_request(request, VARIANT)
    assert caught.value.field == "turns.1.voice"


@pytest.mark.parametrize(
    ("tag", "voice"), [("en", "af_heart"), ("en-GB", "bf_alice"), ("fr_FR", "ff_siwis"), ("pt-BR", "pf_dora")]
)
def test_a_language_tag_means_the_first_voice_of_the_language(model: Kokoro, tag: str, voice: str) -> None:
    assert model.own_voice(tag, []) == voice


@pytest.mark.parametrize("text", ["Привет, мир.", "你好。", "नमस्ते", "γειά"])
def test_a_text_in_another_script_is_refused_at_submission(model: Kokoro, text: str) -> None:
    request = DialogueRequest.model_validate({"turns": [{"text": "Yes: Привет."}, {"text": text}]})
    with pytest.raises(InvalidRequest, match="no language that kokoro speaks") as caught:
        model.check_request(request, VARIANT)
    assert caught.value.field == "turns.1.text"


def test_missing_weights_are_an_error_or_replaced(
    model: Kokoro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "SOURCES", {})
    monkeypatch.setattr(hub, "hub_reachable", lambda url, work_dir: False)
    with pytest.raises(WeightsMissing, match=r"kokoro-v1\.0\.int8\.onnx"):
        load(model, VARIANT, "cpu", "pretrained", tmp_path)
    assert load(model, VARIANT, "cpu", "auto", tmp_path).weights == "random"
