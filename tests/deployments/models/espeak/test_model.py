"""Speech and dialogue by the real eSpeak NG."""

import sys
from collections.abc import Callable

import numpy as np
import pyloudnorm
import pytest
from pydantic import ValidationError

from audiograph.errors import InternalError, InvalidRequest
from audiograph.schemas import DialogueRequest, DialogueResult, SpeakRequest, SpeakResult, Turn
from deployments.models.base import Output, Samples
from deployments.models.espeak.model import EspeakOptions, EspeakSpeech
from deployments.models.kit.espeak.process import EspeakProcesses
from tests.deployments.models.fakes import FakeContext
from tests.support.speech import FOX, result_of, samples_of, speech_of

pytest.importorskip("espeakng_loader")


def test_a_sentence_is_spoken(speak: Callable[..., Output]) -> None:
    context = FakeContext()
    output = speak(format="mp3", context=context)
    speech, samples = speech_of(output), samples_of(output)
    assert (speech.name, speech.sample_rate, speech.format) == ("speech", 22_050, "mp3")
    assert samples.dtype == np.float32
    assert 0.1 < np.abs(samples).max() <= 1
    assert 2 < len(samples) / 22_050 < 4
    assert output.result == SpeakResult(
        voice="en-us", duration=len(samples) / 22_050, sample_rate=22_050, channels=1
    )
    assert output.audio_seconds == result_of(output).duration
    assert context.stages == ["speaking"]
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] > 0.7


def test_the_same_request_gives_the_same_samples(speak: Callable[..., Output]) -> None:
    first, again = speak(), speak(seed=1)
    assert np.array_equal(samples_of(first), samples_of(again))
    assert again.result.notes == ["seed has no effect: the same request is always spoken the same way"]


def test_voices_are_the_librarys_own() -> None:
    voices = {voice.id: voice for voice in EspeakSpeech.voices()}
    assert len(voices) == len(EspeakSpeech.voices()) > 100
    assert voices["en-us"].name == "English (America)"
    assert (voices["de"].language, voices["de"].gender) == ("de", "male")
    assert "fo" not in voices, "its dictionary is not in the package"


def test_voices_differ(speak: Callable[..., Output]) -> None:
    english, german = samples_of(speak(voice="en-us")), samples_of(speak(voice="de"))
    assert len(english) != len(german)


def test_an_unknown_voice_is_refused(speak: Callable[..., Output]) -> None:
    with pytest.raises(InvalidRequest, match=r"no voice 'nobody'; known: .*en-us") as caught:
        speak(voice="nobody")
    assert caught.value.field == "voice"
    with pytest.raises(ValidationError, match="no voice 'nobody'"):
        EspeakOptions(voice="nobody")


def test_speed_is_pace_within_the_librarys_range(speak: Callable[..., Output]) -> None:
    slow, natural, fast = (speak(speed=speed) for speed in (0.25, 1, 4))
    assert [part.result.notes for part in (slow, natural, fast)] == [[], [], []]
    model = EspeakSpeech(EspeakOptions())
    assert [model.native_speed(speed) for speed in (0.25, 1, 4)] == [80 / 170, 1, 450 / 170]
    durations = [result_of(part).duration for part in (slow, natural, fast)]
    assert durations[0] > 1.5 * durations[1] > 2.5 * durations[2]


def test_parameters_are_heard(speak: Callable[..., Output]) -> None:
    natural = speak()
    loud, silent = speak(parameters={"volume": 200}), speak(parameters={"volume": 0})
    assert np.abs(samples_of(loud)).mean() > 1.2 * np.abs(samples_of(natural)).mean()
    assert not samples_of(silent).any()
    gaps = speak(parameters={"word_gap": 50})
    assert result_of(gaps).duration > result_of(natural).duration + 2
    low, high = (_pitch(samples_of(speak(parameters={"pitch": pitch, "range": 0}))) for pitch in (0, 99))
    assert high > 1.3 * low


def _pitch(speech: Samples) -> float:
    """Return the pitch in Hz, 40 to 250, by the maximum of the autocorrelation."""
    autocorrelation = np.fft.irfft(np.abs(np.fft.rfft(speech, 2 * len(speech))) ** 2)
    shortest, longest = 22_050 // 250, 22_050 // 40
    return 22_050 / (shortest + float(autocorrelation[shortest:longest].argmax()))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pitch": 100}, r"parameters.pitch should be less than or equal to 99, not 100"),
        ({"volume": -1}, r"parameters.volume should be greater than or equal to 0, not -1"),
        ({"range": "high"}, r"parameters.range should be a valid integer, not 'high'"),
        ({"word_gap": True}, r"parameters.word_gap should be .* not True"),
        ({"rate": 100}, r"parameters.rate is unknown; espeak takes pitch, range, volume, word_gap"),
    ],
)
def test_wrong_parameters_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message) as caught:
        EspeakSpeech(EspeakOptions()).check_request(
            SpeakRequest(text="a", parameters=parameters), "espeak-ng"
        )
    assert caught.value.field == f"parameters.{next(iter(parameters))}"


@pytest.mark.parametrize("text", [" ", "\n\t", "\x00", "\u200b", "\x01\x02"])
def test_blank_text_is_refused_before_there_is_a_job(text: str) -> None:
    with pytest.raises(InvalidRequest, match="nothing that can be spoken") as caught:
        EspeakSpeech(EspeakOptions()).check_request(SpeakRequest(text=text), "espeak-ng")
    assert caught.value.field == "text"


@pytest.mark.parametrize("text", ["...", "?", "\u2014"])
def test_text_that_the_voice_is_silent_about_is_refused(text: str, speak: Callable[..., Output]) -> None:
    with pytest.raises(InvalidRequest, match="nothing that can be spoken"):
        speak(text)


@pytest.mark.parametrize(
    "text", ["日本語のテキスト", "Grüße, мир! 😀", "a", "<speak>hi</speak>", "[[h@l'oU]]", "\u0301"]
)
def test_any_language_is_text(text: str, speak: Callable[..., Output]) -> None:
    assert samples_of(speak(text)).any()


def test_markup_is_read_out_not_obeyed(speak: Callable[..., Output]) -> None:
    plain, marked = speak("hello"), speak('<prosody volume="silent">hello</prosody>')
    assert result_of(marked).duration > 2 * result_of(plain).duration


def test_control_characters_are_neither_commands_nor_the_end(speak: Callable[..., Output]) -> None:
    spaced = speak(f"first  {FOX}")
    controlled = speak(f"first\x00\x01{FOX}")
    assert controlled.result.notes == ["control characters in text were left out"]
    assert np.array_equal(samples_of(controlled), samples_of(spaced))


def test_a_long_text_is_spoken_to_its_end(speak: Callable[..., Output]) -> None:
    text = "Word and others. " * 1176
    context = FakeContext()
    output = speak(text[:20_000].strip(), context=context, speed=2.5)
    assert result_of(output).duration > 300
    assert context.fractions[-1] > 0.99


def test_a_recording_may_not_grow_without_bound(engine: EspeakProcesses) -> None:
    model = EspeakSpeech(EspeakOptions(max_seconds=2))
    with pytest.raises(
        InvalidRequest, match=r"more than 2 s to speak: that was reached \d+% of the way"
    ) as caught:
        model.run(engine, SpeakRequest(text=FOX * 10), FakeContext())
    assert caught.value.field == "text"


def test_the_engine_is_checked_by_speaking(engine: EspeakProcesses, program: Callable[[str], None]) -> None:
    model = EspeakSpeech(EspeakOptions())
    model.check_engine(engine)
    program("import sys; sys.stdin.read()")
    with pytest.raises(InternalError, match="silent"):
        model.check_engine(engine)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EspeakSpeech.missing() is None
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "pip install espeakng-loader" in str(EspeakSpeech.missing())
    assert EspeakSpeech.voices() == []


def test_a_dialogue_is_spoken_turn_by_turn(engine: EspeakProcesses) -> None:
    turns = [
        Turn(text=FOX, voice="en-us"),
        Turn(text="So it does.", voice="en-gb-scotland"),
        Turn(text="Indeed."),
    ]
    request = DialogueRequest(turns=turns, format="flac")
    context = FakeContext()
    model = EspeakSpeech(EspeakOptions())
    model.check_request(request, "espeak-ng")
    output = model.run(engine, request, context)
    result = output.result
    assert isinstance(result, DialogueResult)
    assert [turn.voice for turn in result.turns] == ["en-us", "en-gb-scotland", "en-us"]
    assert result.turns[-1].end == result.duration == len(samples_of(output)) / 22_050
    assert context.fractions == sorted(context.fractions)

    cut = [samples_of(output)[round(turn.start * 22_050) : round(turn.end * 22_050)] for turn in result.turns]
    loudness = [pyloudnorm.Meter(22_050).integrated_loudness(turn) for turn in cut]
    assert max(loudness) - min(loudness) < 1.0


def test_a_turn_without_words_is_refused_by_its_place() -> None:
    request = DialogueRequest(turns=[Turn(text=FOX), Turn(text=" \n ")])
    with pytest.raises(InvalidRequest, match="nothing that can be spoken") as refusal:
        EspeakSpeech(EspeakOptions()).check_request(request, "espeak-ng")
    assert refusal.value.field == "turns.1.text"


@pytest.mark.parametrize("text", ["★", "<>", "!"])
def test_a_turn_that_the_voice_is_silent_about_is_a_pause_with_a_note(
    engine: EspeakProcesses, text: str
) -> None:
    turns = [Turn(text=words, voice="de") for words in ("Hallo.", text, "Ja.")]
    output = EspeakSpeech(EspeakOptions()).run(engine, DialogueRequest(turns=turns), FakeContext())
    result = output.result
    assert isinstance(result, DialogueResult)
    assert result.notes == [f"turn 2 is a pause: voice de has no words for {text!r}"]
    assert len(result.turns) == 3


def test_a_dialogue_without_any_sound_is_refused_by_its_first_turn(engine: EspeakProcesses) -> None:
    request = DialogueRequest(turns=[Turn(text="★", voice="de"), Turn(text="!", voice="de")])
    with pytest.raises(InvalidRequest, match=r"^turns\.0\.text has nothing that can be spoken") as refusal:
        EspeakSpeech(EspeakOptions()).run(engine, request, FakeContext())
    assert refusal.value.field == "turns.0.text"
