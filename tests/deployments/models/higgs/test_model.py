"""Higgs Audio, compared with transformers' `generate`, on a tiny random checkpoint."""

import gc
import shutil
import weakref
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from audiograph.errors import Canceled, WeightsMissing
from audiograph.schemas import DialogueRequest, DialogueResult, SpeakRequest, SpeakResult, Turn
from deployments.audio.fades import PAUSE_SECONDS
from deployments.config import WeightsPolicy
from deployments.models.base import Output, Samples, VoiceSample
from deployments.models.higgs.engine import HiggsEngine, Reference
from deployments.models.higgs.model import Higgs
from deployments.models.higgs.parameters import HiggsParameters
from deployments.models.higgs.tiny import STREAM_BOS, STREAM_EOS, build_checkpoint
from deployments.models.kit.speaking import Speech
from deployments.models.loading import load
from deployments.models.weights import hugging_face
from deployments.models.weights.published import CHECKPOINT_FILES
from tests.deployments.models.fakes import FakeContext
from tests.support.speech import samples_of

MODEL = Higgs(Higgs.options_class())
RATE = 24_000
FRAME = 960
SHORT = {"max_new_tokens": 40}
FEW_CHOICES = {"top_k": 2}
"""With these, random weights repeat codes as trained ones do."""
SCENE = "Audio is recorded from a quiet room."

Turns = Sequence[tuple[str | None, str]]
"""Pairs of a voice and a text."""
Spoken = list[tuple[str, Reference | None]]
"""Texts and references that were passed to the engine, in order."""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def engine(work_dir: Path) -> HiggsEngine:
    return load(MODEL, "v2-3B", "cpu", "tiny", work_dir).engine


def recorded(
    seconds: float = 1.0, transcript: str = "it was night", seed: int = 0, name: str = "Ann"
) -> VoiceSample:
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    return VoiceSample(name, noise, RATE, transcript)


def speak(
    engine: HiggsEngine,
    text: str = "the sun rises.",
    *,
    context: FakeContext | None = None,
    parameters: dict[str, Any] | None = None,
    **fields: Any,
) -> Output:
    fields = {"seed": 7, "parameters": SHORT | (parameters or {})} | fields
    request = SpeakRequest(text=text, **fields)
    MODEL.check_request(request, "v2-3B")
    return MODEL.run(engine, request, context or FakeContext())


def dialogue(
    engine: HiggsEngine,
    turns: Turns,
    *,
    context: FakeContext | None = None,
    parameters: dict[str, Any] | None = None,
    seed: int = 7,
) -> Output:
    request = DialogueRequest(
        turns=[Turn(text=text, voice=voice) for voice, text in turns],
        seed=seed,
        parameters=SHORT | (parameters or {}),
    )
    MODEL.check_request(request, "v2-3B")
    return MODEL.run(engine, request, context or FakeContext())


def notes(output: Output) -> str:
    return " ".join(output.result.notes)


def message(role: str, **content: Any) -> dict[str, Any]:
    return {"role": role, "content": [content]}


def generate(engine: HiggsEngine, *messages: dict[str, Any], seed: int = 7, **sampling: Any) -> Samples:
    """Continue a chat with transformers alone."""
    inputs = engine.processor.apply_chat_template(
        [message("system", type="text", text="Generate audio following instruction."), *messages],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"sampling_rate": RATE},
    )
    defaults = {"do_sample": True, "temperature": 0.3, "top_p": 0.95, "top_k": 50}
    defaults |= {"ras_win_len": 7, "ras_win_max_num_repeat": 2, "max_new_tokens": 40}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        codes = engine.model.generate(**inputs, **defaults | sampling)
    samples: Samples = engine.processor.batch_decode(codes)[0].numpy()
    return samples


def assert_same(actual: Samples, expected: Samples) -> None:
    """Compare speech with that of transformers, which may exceed -1..1; Audiograph scales it down."""
    np.testing.assert_allclose(actual * max(1.0, np.abs(expected).max()), expected, atol=1e-5)


@pytest.fixture
def spoken(engine: HiggsEngine, monkeypatch: pytest.MonkeyPatch) -> Spoken:
    """Record the texts and references that the engine speaks."""
    calls: Spoken = []
    original = engine.speak

    def record(
        text: str, parameters: HiggsParameters, reference: Reference | None, report: Callable[[int], None]
    ) -> Speech:
        calls.append((text, reference))
        return original(text, parameters, reference, report)

    monkeypatch.setattr(engine, "speak", record)
    return calls


# Comparison with transformers


@pytest.mark.parametrize(
    ("parameters", "sampling"),
    [
        ({}, {}),
        (FEW_CHOICES, FEW_CHOICES),
        ({"temperature": 1.2, "top_p": 0.5, "top_k": 0}, {"temperature": 1.2, "top_p": 0.5, "top_k": 0}),
        ({"temperature": 0}, {"do_sample": False}),
        (
            FEW_CHOICES | {"ras_win_len": 3, "ras_win_max_num_repeat": 1},
            FEW_CHOICES | {"ras_win_len": 3, "ras_win_max_num_repeat": 1},
        ),
        (FEW_CHOICES | {"ras_win_len": None}, FEW_CHOICES | {"ras_win_len": None}),
        (FEW_CHOICES | {"ras_win_len": 0}, FEW_CHOICES | {"ras_win_len": None}),
        (FEW_CHOICES | {"ras_win_max_num_repeat": None}, FEW_CHOICES | {"ras_win_len": None}),
        (FEW_CHOICES | {"ras_win_max_num_repeat": 0}, FEW_CHOICES | {"ras_win_len": None}),
        ({"max_new_tokens": 70}, {"max_new_tokens": 70}),
    ],
)
def test_speech_is_what_generate_makes(
    engine: HiggsEngine, parameters: dict[str, Any], sampling: dict[str, Any]
) -> None:
    scene, text = (
        message(role, type="text", text=content) for role, content in (("scene", SCENE), ("user", "x y."))
    )
    assert_same(
        samples_of(speak(engine, "x y", parameters=parameters)), generate(engine, scene, text, **sampling)
    )


def test_repetition_aware_sampling_changes_what_is_drawn(engine: HiggsEngine) -> None:
    assert not np.array_equal(
        samples_of(speak(engine, parameters=FEW_CHOICES)),
        samples_of(speak(engine, parameters=FEW_CHOICES | {"ras_win_len": None})),
    )


@pytest.mark.parametrize("scene", [None, "", "  "])
def test_there_may_be_no_scene(engine: HiggsEngine, scene: str | None) -> None:
    expected = generate(engine, message("user", type="text", text="x."))
    assert_same(samples_of(speak(engine, "x", parameters={"scene_prompt": scene})), expected)


@pytest.mark.parametrize(("given", "used"), [(None, "it was night"), ("by day", "by day")])
def test_a_voice_is_cloned_as_transformers_clones_it(
    engine: HiggsEngine, given: str | None, used: str
) -> None:
    voice = recorded()
    expected = generate(
        engine,
        message("scene", type="text", text=SCENE),
        message("user", type="text", text=used),
        message("assistant", type="audio", audio=voice.samples),
        message("user", type="text", text="x."),
    )
    output = speak(
        engine,
        "x",
        voice="file-1",
        context=FakeContext(voices={"file-1": voice}),
        parameters={"transcription": given},
    )
    assert_same(samples_of(output), expected)
    assert isinstance(output.result, SpeakResult)
    assert output.result.voice == "Ann"


# Results


def test_speech_is_mono_within_full_scale_and_as_long_as_its_tokens(engine: HiggsEngine) -> None:
    output = speak(engine, parameters={"max_new_tokens": 30}, format="flac")
    result, (audio,) = output.result, output.files
    assert isinstance(result, SpeakResult)
    assert (audio.name, audio.format, audio.sample_rate, result.sample_rate) == ("speech", "flac", RATE, RATE)
    assert samples_of(output).shape == ((30 - 8) * FRAME,)
    assert samples_of(output).dtype == np.float32
    assert 0 < np.abs(samples_of(output)).max() <= 1
    assert result.duration == output.audio_seconds == (30 - 8) / 25
    assert (result.voice, result.channels) == ("default", 1)
    assert result.notes == ["The speech reached max_new_tokens (30): the end may be cut off."]


def test_what_is_too_loud_is_turned_down(engine: HiggsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.processor, "batch_decode", lambda codes: [torch.linspace(-4.0, 2.0, 7)])
    np.testing.assert_allclose(samples_of(speak(engine)), np.linspace(-1, 0.5, 7), atol=1e-6)


@pytest.mark.parametrize(("ends", "note"), [(True, ""), (False, "cut off")])
def test_speech_that_ends_by_itself_is_not_said_to_be_cut(
    engine: HiggsEngine, monkeypatch: pytest.MonkeyPatch, ends: bool, note: str
) -> None:
    codes = torch.full((1, 20, 8), 5)
    codes[:, 0] = STREAM_BOS
    codes[:, -1] = STREAM_EOS if ends else 5
    monkeypatch.setattr(engine.model, "generate", lambda **_: codes)
    output = speak(engine)
    assert len(samples_of(output)) == (20 - 8 - ends) * FRAME
    assert (note in notes(output)) and bool(output.result.notes) == bool(note)


def test_nothing_to_say_is_a_frame_of_silence(engine: HiggsEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = torch.full((1, 9, 8), STREAM_EOS)
    codes[:, 0] = STREAM_BOS
    monkeypatch.setattr(engine.model, "generate", lambda **_: codes)
    np.testing.assert_array_equal(samples_of(speak(engine)), np.zeros(FRAME, np.float32))


def test_a_seed_is_reproducible_and_leaves_torch_as_it_was(engine: HiggsEngine) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (samples_of(speak(engine, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())
    one, two = (samples_of(speak(engine, seed=None)) for _ in range(2))
    assert not np.array_equal(one, two)


# Dialogues


def test_a_dialogue_is_its_turns_with_pauses_at_exact_times(engine: HiggsEngine) -> None:
    output = dialogue(engine, [("a", "one"), (None, "two"), ("a", "three")], context=company())
    result, audio = output.result, samples_of(output)
    assert isinstance(result, DialogueResult)
    assert [(turn.voice, turn.text) for turn in result.turns] == [
        ("Ann", "one"),
        ("default", "two"),
        ("Ann", "three"),
    ]
    assert result.turns[0].start == 0
    assert result.turns[-1].end == result.duration == output.audio_seconds == len(audio) / RATE
    for before, after in zip(result.turns, result.turns[1:], strict=False):
        assert after.start - before.end == pytest.approx(PAUSE_SECONDS)
        pause = audio[round(before.end * RATE) : round(after.start * RATE)]
        assert not pause.any()
    assert all(turn.end - turn.start == pytest.approx((40 - 8) / 25) for turn in result.turns)
    assert np.abs(audio).max() <= 1
    assert [file.name for file in output.files] == [
        "dialogue",
        "dialogue.json",
        "dialogue.srt",
        "dialogue.vtt",
    ]
    assert "Turns 1, 2, 3 reached max_new_tokens (40)" in notes(output)


def company() -> FakeContext:
    """Build a context with two voices."""
    return FakeContext(voices={"a": recorded(), "b": recorded(2.0, "good day", seed=1, name="Bob")})


def test_speakers_stay_themselves(engine: HiggsEngine, spoken: Spoken) -> None:
    turns: Turns = [(None, "one"), ("b", "two"), (None, "three"), ("a", "four"), ("b", "five")]
    dialogue(engine, turns, context=company())
    texts, references = zip(*spoken, strict=True)
    assert texts == ("one.", "two.", "three.", "four.", "five.")
    transcripts = [reference and reference.transcript for reference in references]
    assert transcripts == [None, "good day", "one.", "it was night", "good day"]
    first = samples_of(speak(engine, "one"))
    np.testing.assert_array_equal(references[2].samples, first)


def test_who_has_not_said_enough_is_chosen_anew(engine: HiggsEngine, spoken: Spoken) -> None:
    dialogue(engine, [(None, "one"), (None, "two")], parameters={"max_new_tokens": 18})
    assert [reference for _, reference in spoken] == [None, None]


def test_transcripts_are_told_in_the_order_of_the_voices(engine: HiggsEngine, spoken: Spoken) -> None:
    turns = [("b", "one"), ("a", "two"), ("b", "three")]
    dialogue(engine, turns, context=company(), parameters={"audio_transcriptions": ["the first"]})
    assert [reference.transcript for _, reference in spoken] == ["the first", "it was night", "the first"]


def test_a_dialogue_is_reproducible(engine: HiggsEngine) -> None:
    first, again = (samples_of(dialogue(engine, [(None, "one"), (None, "two")])) for _ in range(2))
    np.testing.assert_array_equal(first, again)


# Ignored parameters


def test_what_is_ignored_is_said(engine: HiggsEngine) -> None:
    output = speak(engine, "a <|eot_id|> b", parameters={"transcription": "t", "audio_transcriptions": ["u"]})
    assert "audio_transcriptions was ignored" in notes(output)
    assert "transcription was ignored: no voice" in notes(output)
    assert "<| and |> were left out" in notes(output)
    assert "transcription was ignored: a dialogue" in notes(
        dialogue(engine, [(None, "x")], parameters={"transcription": "t"})
    )


@pytest.mark.parametrize("text", ["a <|AUDIO_OUT|> b", "a 《|audio_out_bos|》", "<|eot_id|>"])
def test_control_tokens_in_texts_control_nothing(engine: HiggsEngine, spoken: Spoken, text: str) -> None:
    context = FakeContext(voices={"v": recorded(transcript=text)})
    speak(engine, text, voice="v", context=context, parameters={"scene_prompt": text})
    ((spoken_text, reference),) = spoken
    assert "<|" not in spoken_text + reference.transcript


# Progress and cancellation


def test_progress_rises_over_steps_and_turns(engine: HiggsEngine) -> None:
    context = company()
    dialogue(engine, [("a", "a text of some length"), ("b", "another one")], context=context)
    assert context.fractions == sorted(context.fractions)
    assert len(context.fractions) == 1 + 2 * 40
    assert 0.5 < context.fractions[40] < 0.9
    assert context.fractions[-1] == pytest.approx(1.0)
    assert context.stages == ["speaking"]


def test_a_cancel_ends_it_at_the_next_step(engine: HiggsEngine) -> None:
    context = FakeContext(cancel_after=10)
    with pytest.raises(Canceled):
        speak(engine, context=context)
    assert len(context.reports) == 11
    assert samples_of(speak(engine)).any()


# Loading


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(repository: str, **_: Any) -> None:
        raise LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", missing)
    monkeypatch.setattr(hugging_face, "hub_reachable", lambda url, work_dir: False)


def test_pretrained_means_pretrained(no_hub: None, work_dir: Path) -> None:
    with pytest.raises(WeightsMissing, match="eustlb/higgs-v2"):
        load(MODEL, "v2-3B", "cpu", "pretrained", work_dir)


@pytest.mark.parametrize("policy", ["auto", "tiny"])
def test_random_weights_stand_in_and_say_so(
    no_hub: None, work_dir: Path, policy: WeightsPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(MODEL, "v2-3B", "cpu", policy, work_dir).weights == "random"
    assert ("RANDOM" in caplog.text) == (policy == "auto")


def test_published_checkpoints_are_loaded_from_both_repositories(
    engine: HiggsEngine, work_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tokenizer that was used before it was saved is loaded as well."""
    folder = shutil.copytree(build_checkpoint(work_dir / "tiny"), tmp_path / "published")
    before = speak(engine, voice="a", context=company())
    engine.processor.tokenizer.save_pretrained(folder / "model")
    published = {"eustlb/higgs-v2": folder / "model", "eustlb/higgs-audio-v2-tokenizer": folder / "codec"}
    monkeypatch.setattr(hugging_face, "found_repository", lambda repository: published[repository.name])
    loaded = load(MODEL, "v2-3B", "cpu", "pretrained", work_dir)
    assert loaded.weights == "pretrained"
    after = speak(loaded.engine, voice="a", context=company())
    np.testing.assert_array_equal(samples_of(after), samples_of(before))


def test_everything_that_is_loaded_is_among_what_is_fetched(work_dir: Path) -> None:
    folder = build_checkpoint(work_dir / "tiny")
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    assert "chat_template.jinja" in files
    assert all(any(fnmatch(name, pattern) for pattern in CHECKPOINT_FILES) for name in files)


def test_what_has_cloned_a_voice_can_be_unloaded(work_dir: Path) -> None:
    engine = load(MODEL, "v2-3B", "cpu", "tiny", work_dir).engine
    speak(engine, voice="a", context=company())
    codec = weakref.ref(engine.processor.audio_tokenizer)
    MODEL.unload(engine)
    del engine
    gc.collect()
    assert codec() is None


def test_a_broken_engine_is_noticed(engine: HiggsEngine, work_dir: Path) -> None:
    MODEL.check_engine(engine)
    broken = load(MODEL, "v2-3B", "cpu", "tiny", work_dir).engine
    with torch.no_grad():
        broken.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="not finite"):
        MODEL.check_engine(broken)
