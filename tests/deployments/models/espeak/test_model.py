"""Speech by the real eSpeak NG, each text in a process of its own."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
from pydantic import ValidationError

from audiograph.errors import Canceled, InternalError, InvalidRequest
from audiograph.schemas import DialogueRequest, DialogueResult, SpeakRequest, SpeakResult
from deployments.models.base import LoadContext, Output, Samples
from deployments.models.espeak import library as espeak_library
from deployments.models.espeak import process as espeak_process
from deployments.models.espeak.model import EspeakOptions, EspeakSpeech
from deployments.models.espeak.process import EspeakProcesses
from tests.deployments.models.fakes import FakeContext

pytest.importorskip("espeakng_loader")

FOX = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> EspeakProcesses:
    context = LoadContext("cpu", "pretrained", tmp_path_factory.mktemp("work"))
    loaded = EspeakSpeech(EspeakOptions()).load("espeak-ng", context)
    assert loaded.weights == "none"
    return loaded.engine


@pytest.fixture
def speak(engine: EspeakProcesses) -> Callable[..., Output]:
    def run(text: str = FOX, context: FakeContext | None = None, **fields: object) -> Output:
        request = SpeakRequest(text=text, **fields)  # type: ignore[arg-type]
        EspeakSpeech(EspeakOptions()).check_request(request, "espeak-ng")
        return EspeakSpeech(EspeakOptions()).run(engine, request, context or FakeContext())

    return run


def samples(output: Output) -> Samples:
    return output.files[0].samples


def test_a_sentence_is_spoken(speak: Callable[..., Output]) -> None:
    context = FakeContext()
    output = speak(format="mp3", context=context)
    speech = output.files[0]
    assert (speech.name, speech.sample_rate, speech.format) == ("speech", 22_050, "mp3")
    assert speech.samples.dtype == np.float32
    assert 0.1 < np.abs(speech.samples).max() <= 1
    assert 2 < len(speech.samples) / 22_050 < 4
    assert output.result == SpeakResult(
        voice="en-us", duration=len(speech.samples) / 22_050, sample_rate=22_050, channels=1
    )
    assert output.audio_seconds == output.result.duration
    assert context.stages == ["speaking"]
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] > 0.7


def test_the_same_request_gives_the_same_samples(speak: Callable[..., Output]) -> None:
    first, again = speak(), speak(seed=1)
    assert np.array_equal(samples(first), samples(again))
    assert again.result.notes == ["seed has no effect: the same request is always spoken the same way"]


def test_voices_are_the_librarys_own() -> None:
    voices = {voice.id: voice for voice in EspeakSpeech.voices()}
    assert len(voices) == len(EspeakSpeech.voices()) > 100
    assert voices["en-us"].name == "English (America)"
    assert (voices["de"].language, voices["de"].gender) == ("de", "male")
    assert "fo" not in voices, "its dictionary is not in the package"


def test_voices_differ(speak: Callable[..., Output]) -> None:
    english, german = samples(speak(voice="en-us")), samples(speak(voice="de"))
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
    assert slow.result.duration > 1.5 * natural.result.duration > 2.5 * fast.result.duration


def test_parameters_are_heard(speak: Callable[..., Output]) -> None:
    natural = speak()
    loud, silent = speak(parameters={"volume": 200}), speak(parameters={"volume": 0})
    assert np.abs(samples(loud)).mean() > 1.2 * np.abs(samples(natural)).mean()
    assert not samples(silent).any()
    assert speak(parameters={"word_gap": 50}).result.duration > natural.result.duration + 2
    low, high = (_pitch(samples(speak(parameters={"pitch": pitch, "range": 0}))) for pitch in (0, 99))
    assert high > 1.3 * low


def _pitch(speech: Samples) -> float:
    """The rate in Hz, 40 to 250, at which it repeats itself most."""
    alike = np.fft.irfft(np.abs(np.fft.rfft(speech, 2 * len(speech))) ** 2)
    shortest, longest = 22_050 // 250, 22_050 // 40
    return 22_050 / (shortest + float(alike[shortest:longest].argmax()))


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
    assert samples(speak(text)).any()


def test_markup_is_read_out_not_obeyed(speak: Callable[..., Output]) -> None:
    plain, marked = speak("hello"), speak('<prosody volume="silent">hello</prosody>')
    assert marked.result.duration > 2 * plain.result.duration


def test_control_characters_are_neither_commands_nor_the_end(speak: Callable[..., Output]) -> None:
    spaced = speak(f"first  {FOX}")
    controlled = speak(f"first\x00\x01{FOX}")
    assert controlled.result.notes == ["control characters in text were left out"]
    assert np.array_equal(samples(controlled), samples(spaced))


def test_a_long_text_is_spoken_to_its_end(speak: Callable[..., Output]) -> None:
    text = "Word and others. " * 1176
    context = FakeContext()
    output = speak(text[:20_000].strip(), context=context, speed=2.5)
    assert output.result.duration > 300
    assert context.fractions[-1] > 0.99


def test_a_recording_may_not_grow_without_bound(engine: EspeakProcesses) -> None:
    model = EspeakSpeech(EspeakOptions(max_seconds=2))
    with pytest.raises(
        InvalidRequest, match=r"more than 2 s to speak: that was reached \d+% of the way"
    ) as caught:
        model.run(engine, SpeakRequest(text=FOX * 10), FakeContext())
    assert caught.value.field == "text"


def test_cancel_ends_the_process(speak: Callable[..., Output], started: list[int]) -> None:
    with pytest.raises(Canceled):
        speak(FOX * 400, context=FakeContext(cancel_after=2))
    _assert_ended(started)


def test_a_process_that_hangs_is_ended_by_cancel(
    speak: Callable[..., Output], started: list[int], program: Callable[[str], None]
) -> None:
    program("import time; time.sleep(600)")
    with pytest.raises(Canceled):
        speak(context=FakeContext(cancel_after=1))
    _assert_ended(started)


def test_a_crash_of_the_library_is_the_texts_fault(
    speak: Callable[..., Output], program: Callable[[str], None]
) -> None:
    program(f"import os, sys; sys.stdin.read(); os.kill(os.getpid(), {int(signal.SIGSEGV)})")
    with pytest.raises(InvalidRequest, match="SIGSEGV") as caught:
        speak()
    assert caught.value.field == "text"


def test_a_failure_says_what_failed(speak: Callable[..., Output], program: Callable[[str], None]) -> None:
    program("import sys; sys.stdin.read(); sys.exit('no such thing')")
    with pytest.raises(InternalError, match="no such thing"):
        speak()


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


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Ids of the processes that were started."""
    pids: list[int] = []
    start = EspeakProcesses._start

    def remember(self: EspeakProcesses, complaints: object) -> object:
        process = start(self, complaints)  # type: ignore[arg-type]
        pids.append(process.pid)
        return process

    monkeypatch.setattr(EspeakProcesses, "_start", remember)
    return pids


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Run another program where the library would be."""

    def use(content: str) -> None:
        path = tmp_path / "program.py"
        path.write_text(content)
        monkeypatch.setattr(espeak_process, "espeak_library", type("Program", (), {"__file__": path}))

    assert espeak_process.espeak_library is espeak_library
    return use


def _assert_ended(pids: list[int]) -> None:
    assert len(pids) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_dialogue_is_spoken_turn_by_turn(engine: EspeakProcesses) -> None:
    turns = [
        {"text": FOX, "voice": "en-us"},
        {"text": "So it does.", "voice": "en-gb-scotland"},
        {"text": "Indeed."},
    ]
    request = DialogueRequest(turns=turns, format="flac")  # type: ignore[arg-type]
    context = FakeContext()
    model = EspeakSpeech(EspeakOptions())
    model.check_request(request, "espeak-ng")
    output = model.run(engine, request, context)
    result = output.result
    assert isinstance(result, DialogueResult)
    assert [turn.voice for turn in result.turns] == ["en-us", "en-gb-scotland", "en-us"]
    assert result.turns[-1].end == result.duration == len(samples(output)) / 22_050
    assert context.fractions == sorted(context.fractions)

    cut = [samples(output)[round(turn.start * 22_050) : round(turn.end * 22_050)] for turn in result.turns]
    loudness = [pyloudnorm.Meter(22_050).integrated_loudness(one) for one in cut]
    assert max(loudness) - min(loudness) < 1.0


def test_a_turn_without_words_is_refused_by_its_place() -> None:
    request = DialogueRequest(turns=[{"text": FOX}, {"text": " \n "}])  # type: ignore[list-item]
    with pytest.raises(InvalidRequest, match="nothing that can be spoken") as refusal:
        EspeakSpeech(EspeakOptions()).check_request(request, "espeak-ng")
    assert refusal.value.field == "turns.1.text"
