"""Chatterbox against the package's own `generate`, with a tiny random checkpoint."""

import gc
import shutil
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import huggingface_hub
import numpy as np
import perth
import pytest
import soundfile
import torch
from chatterbox.models.t3 import t3 as t3_module
from huggingface_hub.errors import LocalEntryNotFoundError

from audiograph.errors import Canceled, InvalidAudio, NotFound, WeightsMissing
from audiograph.schemas import DialogueRequest, DialogueResult, SpeakRequest, Turn
from deployments.audio.fades import PAUSE_SECONDS
from deployments.config import WeightsPolicy
from deployments.models.base import Output, Samples, VoiceSample
from deployments.models.chatterbox import model as chatterbox_module
from deployments.models.chatterbox.engine import ChatterboxEngine
from deployments.models.chatterbox.model import WEIGHTS, Chatterbox
from deployments.models.chatterbox.tiny import build_checkpoint
from deployments.models.loading import load
from deployments.models.weights import hugging_face
from tests.deployments.models.fakes import FakeContext
from tests.support.speech import result_of, samples_of, speech_of

RATE = 24_000
TOKEN = RATE // 25
SHORT = {"max_new_tokens": 25}
TEXT = "hello there: how are you"

Speak = Callable[..., Output]
Dialogue = Callable[..., Output]
Reference = Callable[..., Samples]


def recording(seconds: float = 6.0, seed: int = 0, name: str = "Ann") -> VoiceSample:
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    return VoiceSample(name, noise, RATE, None)


def two_voices(**options: Any) -> FakeContext:
    return FakeContext(voices={"a": recording(), "b": recording(3.0, 1, "Bob")}, **options)


@pytest.fixture
def speak(model: Chatterbox, engine: ChatterboxEngine) -> Speak:
    def run(
        text: str = TEXT,
        *,
        context: FakeContext | None = None,
        parameters: dict[str, Any] | None = None,
        **fields: Any,
    ) -> Output:
        fields = {"seed": 4, "parameters": SHORT | (parameters or {})} | fields
        request = SpeakRequest(text=text, **fields)
        model.check_request(request, "english")
        return model.run(engine, request, context or two_voices())

    return run


@pytest.fixture
def dialogue(model: Chatterbox, engine: ChatterboxEngine) -> Dialogue:
    def run(
        turns: Sequence[tuple[str | None, str]],
        *,
        context: FakeContext | None = None,
        parameters: dict[str, Any] | None = None,
        seed: int = 4,
    ) -> Output:
        request = DialogueRequest(
            turns=[Turn(text=text, voice=voice) for voice, text in turns],
            seed=seed,
            parameters=SHORT | (parameters or {}),
        )
        model.check_request(request, "english")
        return model.run(engine, request, context or two_voices())

    return run


@pytest.fixture
def reference(engine: ChatterboxEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reference:
    """Generates speech with the package's own loop, limited to the same number of tokens."""

    def generate(
        text: str = TEXT,
        *,
        seed: int = 4,
        voice: VoiceSample | None = None,
        watermark: bool = True,
        **parameters: Any,
    ) -> Samples:
        tts, path = engine.tts, None
        if voice is not None:
            path = tmp_path / "voice.wav"
            soundfile.write(path, voice.samples, RATE, subtype="FLOAT")
        monkeypatch.setattr(t3_module, "tqdm", lambda steps, **_: list(steps)[: SHORT["max_new_tokens"]])
        if not watermark:
            monkeypatch.setattr(tts.watermarker, "apply_watermark", lambda wave, sample_rate: wave)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            waves = tts.generate(text, audio_prompt_path=path, **{"temperature": 0.75} | parameters)
        tts.conds = engine.default_voice
        monkeypatch.undo()
        samples: Samples = waves[0].numpy()
        return samples

    return generate


def conversation(output: Output) -> DialogueResult:
    assert isinstance(output.result, DialogueResult)
    return output.result


def notes(output: Output) -> str:
    return " ".join(output.result.notes)


def detected(engine: ChatterboxEngine, wave: Samples) -> float:
    """Return the detected fraction of the watermark, 0..1."""
    return float(engine.tts.watermarker.get_watermark(wave, sample_rate=RATE).mean())


# Equality with the package


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"exaggeration": 1.5, "cfg_weight": 0.2, "temperature": 1.0},
        {"top_p": 0.5, "min_p": 0.0, "repetition_penalty": 2.0},
    ],
)
def test_speech_equals_that_of_the_package(
    speak: Speak, reference: Reference, parameters: dict[str, Any]
) -> None:
    np.testing.assert_allclose(samples_of(speak(parameters=parameters)), reference(**parameters), atol=1e-6)


def test_a_cloned_voice_equals_that_of_the_package(speak: Speak, reference: Reference) -> None:
    output = speak(voice="a", parameters={"exaggeration": 0.8})
    np.testing.assert_allclose(samples_of(output), reference(voice=recording(), exaggeration=0.8), atol=1e-6)
    assert result_of(output).voice == "Ann"
    assert not np.allclose(samples_of(output), samples_of(speak(parameters={"exaggeration": 0.8})))
    assert result_of(speak()).voice == "default"


def test_speech_without_a_watermark_equals_that_of_the_package(speak: Speak, reference: Reference) -> None:
    output = speak(parameters={"disable_watermark": True})
    np.testing.assert_allclose(samples_of(output), reference(watermark=False), atol=1e-6)


def test_no_guidance_is_the_limit_of_guidance(speak: Speak, reference: Reference) -> None:
    np.testing.assert_allclose(
        samples_of(speak(parameters={"cfg_weight": 0})), reference(cfg_weight=1e-6), atol=1e-6
    )
    with pytest.raises((RuntimeError, IndexError)):  # the package fails with a guidance of 0
        reference(cfg_weight=0.0)


def test_a_voice_leaves_nothing_behind(speak: Speak) -> None:
    before = samples_of(speak())
    speak(voice="a", parameters={"exaggeration": 1.0})
    np.testing.assert_array_equal(samples_of(speak()), before)


# Results


def test_speech_is_mono_within_full_scale_and_as_long_as_its_tokens(speak: Speak) -> None:
    output = speak(format="flac", parameters={"max_new_tokens": 12})
    result, audio = result_of(output), speech_of(output)
    assert len(output.files) == 1
    assert (audio.name, audio.format, audio.sample_rate, result.sample_rate) == ("speech", "flac", RATE, RATE)
    assert samples_of(output).shape == (12 * TOKEN,)
    assert samples_of(output).dtype == np.float32
    assert 0 < np.abs(samples_of(output)).max() <= 1
    assert result.duration == output.audio_seconds == 12 / 25
    assert result.notes == ["The speech reached max_new_tokens (12): the end may be cut off."]


def test_speech_without_tokens_is_one_token_of_silence(
    speak: Speak, engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = engine.tts.t3.hp.stop_speech_token
    monkeypatch.setattr(engine.tts.t3, "inference", lambda **_: torch.tensor([[end]]))
    output = speak(parameters={"disable_watermark": True})
    np.testing.assert_array_equal(samples_of(output), np.zeros(TOKEN, np.float32))
    assert "cut off" not in notes(output)


def test_a_seed_is_reproducible_and_leaves_the_global_generator_alone(speak: Speak) -> None:
    before = torch.random.get_rng_state()
    first = samples_of(speak(seed=1))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.rand(100)
    np.testing.assert_array_equal(samples_of(speak(seed=1)), first)
    assert not np.array_equal(samples_of(speak(seed=2)), first)
    assert not np.array_equal(samples_of(speak(seed=None)), samples_of(speak(seed=None)))


# The watermark


def test_the_watermark_is_there_unless_it_is_left_out(speak: Speak, engine: ChatterboxEngine) -> None:
    assert detected(engine, samples_of(speak())) > 0.9
    output = speak(parameters={"disable_watermark": True})
    assert detected(engine, samples_of(output)) < 0.1
    assert "no watermark: disable_watermark" in notes(output)


def test_the_watermark_survives_a_dialogue(dialogue: Dialogue, engine: ChatterboxEngine) -> None:
    assert detected(engine, samples_of(dialogue([("a", "one"), ("b", "two"), (None, "three")]))) > 0.9


def test_a_watermark_that_is_unavailable_is_not_silently_off(
    model: Chatterbox, speak: Speak, work_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "watermark" not in notes(speak())
    monkeypatch.setattr(perth, "PerthImplicitWatermarker", None)  # as without pkg_resources
    engine = load(model, "english", "cpu", "tiny", work_dir).engine
    request = SpeakRequest(text=TEXT, seed=4, parameters=SHORT)
    output = model.run(engine, request, FakeContext())
    assert "NO watermark" in notes(output)
    bare = samples_of(speak(parameters={"disable_watermark": True}))
    np.testing.assert_array_equal(samples_of(output), bare)


# Dialogues


def test_a_dialogue_is_its_turns_with_pauses_at_exact_times(dialogue: Dialogue) -> None:
    output = dialogue([("a", "one"), (None, "two"), ("a", "three")])
    result, audio = conversation(output), samples_of(output)
    assert [(turn.voice, turn.text) for turn in result.turns] == [
        ("Ann", "one"),
        ("default", "two"),
        ("Ann", "three"),
    ]
    assert result.turns[-1].end == result.duration == output.audio_seconds == len(audio) / RATE
    for before, after in zip(result.turns, result.turns[1:], strict=False):
        assert after.start - before.end == pytest.approx(PAUSE_SECONDS)
    assert np.abs(audio).max() <= 1
    names = [file.name for file in output.files]
    assert names == ["dialogue", "dialogue.json", "dialogue.srt", "dialogue.vtt"]
    again = dialogue([("a", "one"), (None, "two"), ("a", "three")])
    np.testing.assert_array_equal(samples_of(again), audio)


def test_each_voice_is_encoded_once(
    dialogue: Dialogue, engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    encode_voice = engine.encode_voice

    def record(samples: Samples) -> Any:
        lengths.append(len(samples))
        return encode_voice(samples)

    monkeypatch.setattr(engine, "encode_voice", record)
    dialogue([("a", "one"), ("b", "two"), ("a", "three")])
    assert lengths == [6 * RATE, 3 * RATE]


# Ignored and clamped parameters


@pytest.mark.parametrize(
    ("given", "note"),
    [
        ({"top_k": 50}, "top_k was ignored"),
        ({"temperature": 0}, "temperature was raised from 0 to 0.05"),
        ({"max_new_tokens": 2000}, "max_new_tokens was lowered from 2000 to 1000"),
    ],
)
def test_unsupported_parameters_are_noted(
    speak: Speak, engine: ChatterboxEngine, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], note: str
) -> None:
    received: dict[str, Any] = {}

    def inference(**arguments: Any) -> torch.Tensor:
        received.update(arguments)
        return torch.arange(3)[None]

    monkeypatch.setattr(engine.tts.t3, "inference", inference)
    assert note in notes(speak(parameters=given))
    assert received["temperature"] >= 0.05
    assert received["max_new_tokens"] <= 1000


@pytest.mark.parametrize("seconds", [0.3, 61])
def test_a_voice_of_the_wrong_length_is_refused(speak: Speak, seconds: float) -> None:
    context = FakeContext(voices={"a": recording(seconds)})
    with pytest.raises(InvalidAudio, match=r"Chatterbox takes 0\.5 to 60 s"):
        speak(voice="a", context=context)


@pytest.mark.parametrize("seconds", [0.5, 0.777, 60])
def test_a_voice_may_be_short_or_long(speak: Speak, seconds: float) -> None:
    assert samples_of(speak(voice="a", context=FakeContext(voices={"a": recording(seconds)}))).any()


def test_a_voice_that_is_gone_is_not_found(speak: Speak) -> None:
    with pytest.raises(NotFound):
        speak(voice="c")


# Progress and cancel


def test_progress_rises_over_steps_and_turns(dialogue: Dialogue) -> None:
    context = two_voices()
    dialogue([("a", "a text of some length"), ("b", "another one")], context=context)
    assert context.fractions == sorted(context.fractions)
    assert len(context.fractions) == 1 + 2 * (25 + 10)
    assert context.fractions[1 + 25 + 10] == 0.5
    assert 0.9 < context.fractions[-1] <= 1.0
    assert context.stages == ["speaking"]


@pytest.mark.parametrize("reports", [10, 30])  # while sampling tokens, and while decoding them
def test_a_cancel_ends_it_at_the_next_step(speak: Speak, reports: int) -> None:
    bar, context = t3_module.tqdm, two_voices(cancel_after=reports)
    with pytest.raises(Canceled):
        speak(context=context)
    assert len(context.reports) == reports + 1
    assert t3_module.tqdm is bar
    assert samples_of(speak()).any()


# Loading


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(repository: str, **_: Any) -> NoReturn:
        raise LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", missing)
    monkeypatch.setattr(hugging_face, "hub_reachable", lambda url, work_dir: False)


def test_pretrained_means_pretrained(model: Chatterbox, no_hub: None, work_dir: Path) -> None:
    with pytest.raises(WeightsMissing, match="ResembleAI/chatterbox"):
        load(model, "english", "cpu", "pretrained", work_dir)


@pytest.mark.parametrize("policy", ["auto", "tiny"])
def test_random_weights_stand_in_and_say_so(
    model: Chatterbox, no_hub: None, work_dir: Path, policy: WeightsPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(model, "english", "cpu", policy, work_dir).weights == "random"
    assert ("RANDOM" in caplog.text) == (policy == "auto")


def test_the_published_checkpoint_is_loaded_from_what_is_fetched_of_it(
    model: Chatterbox, work_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = build_checkpoint(work_dir / "tiny")
    folder = tmp_path / "published"
    folder.mkdir()
    fetched: list[str] = []
    loaded: list[Path] = []

    def download(repository: str, *, allow_patterns: Sequence[str], **_: Any) -> str:
        fetched.append(repository)
        for name in allow_patterns:
            shutil.copyfile(tiny / name, folder / name)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(chatterbox_module, "load_engine", lambda path, device: loaded.append(path))
    assert load(model, "english", "cpu", "pretrained", work_dir).weights == "pretrained"
    assert (fetched, loaded) == (["ResembleAI/chatterbox"], [folder])
    assert {path.name for path in tiny.iterdir()} == set(WEIGHTS.files)


def test_a_broken_engine_is_noticed(model: Chatterbox, engine: ChatterboxEngine, work_dir: Path) -> None:
    model.check_engine(engine)
    broken = load(model, "english", "cpu", "tiny", work_dir).engine
    with torch.no_grad():
        broken.tts.t3.tfmr.norm.weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="not finite"):
        model.check_engine(broken)


def test_an_engine_that_cloned_a_voice_can_be_unloaded(model: Chatterbox, work_dir: Path) -> None:
    engine = load(model, "english", "cpu", "tiny", work_dir).engine
    model.run(engine, SpeakRequest(text=TEXT, voice="a", parameters=SHORT), two_voices())
    parts = [weakref.ref(part) for part in (engine.tts.t3, engine.tts.s3gen, engine.tts.ve)]
    model.unload(engine)
    del engine
    gc.collect()
    assert [part() for part in parts] == [None, None, None]


def test_nothing_is_missing_here(model: Chatterbox) -> None:
    assert model.missing() is None
