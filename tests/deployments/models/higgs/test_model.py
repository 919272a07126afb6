"""Higgs Audio, against transformers' own `generate`, on a tiny random checkpoint."""

import gc
import shutil
import weakref
from fnmatch import fnmatch

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from audiograph.errors import Canceled, WeightsMissing
from audiograph.schemas import DialogueRequest, SpeakRequest
from deployments.audio.fades import PAUSE_SECONDS
from deployments.models.base import LoadContext, VoiceSample
from deployments.models.higgs import model as higgs_module
from deployments.models.higgs.model import Higgs
from deployments.models.higgs.tiny import STREAM_BOS, STREAM_EOS, build_checkpoint
from deployments.models.kit import hugging_face
from tests.deployments.models.fakes import FakeContext

MODEL = Higgs(Higgs.options_class())
RATE = 24_000
FRAME = 960
SHORT = {"max_new_tokens": 40}
FEW = {"top_k": 2}
"""Choices, so that random weights repeat themselves as trained ones do."""
SCENE = "Audio is recorded from a quiet room."

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def engine(work_dir):
    return MODEL.load("v2-3B", LoadContext("cpu", "tiny", work_dir)).engine


def recorded(seconds=1.0, transcript="it was night", seed=0, name="Ann"):
    noise = np.random.default_rng(seed).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)
    return VoiceSample(name, noise, RATE, transcript)


def speak(engine, text="the sun rises.", *, context=None, parameters=None, **fields):
    fields = {"seed": 7, "parameters": SHORT | (parameters or {})} | fields
    request = SpeakRequest(text=text, **fields)
    MODEL.check_request(request, "v2-3B")
    return MODEL.run(engine, request, context or FakeContext())


def dialogue(engine, turns, *, context=None, parameters=None, seed=7):
    request = DialogueRequest(
        turns=[{"text": text, "voice": voice} for voice, text in turns],
        seed=seed,
        parameters=SHORT | (parameters or {}),
    )
    MODEL.check_request(request, "v2-3B")
    return MODEL.run(engine, request, context or FakeContext())


def samples(output):
    return output.files[0].samples


def notes(output):
    return " ".join(output.result.notes)


def message(role, **content):
    return {"role": role, "content": [content]}


def reference(engine, *messages, seed=7, **sampling):
    """What transformers makes of a conversation."""
    inputs = engine.processor.apply_chat_template(
        [message("system", type="text", text="Generate audio following instruction."), *messages],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"sampling_rate": RATE},
    )
    usual = {"do_sample": True, "temperature": 0.3, "top_p": 0.95, "top_k": 50}
    usual |= {"ras_win_len": 7, "ras_win_max_num_repeat": 2, "max_new_tokens": 40}
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        codes = engine.model.generate(**inputs, **usual | sampling)
    return engine.processor.batch_decode(codes)[0].numpy()


def assert_same(mine, theirs):
    """Audiograph keeps within -1..1 what the codec makes louder."""
    np.testing.assert_allclose(mine * max(1.0, np.abs(theirs).max()), theirs, atol=1e-5)


@pytest.fixture
def spoken(engine, monkeypatch):
    """What the engine is asked to speak: texts and references, in order."""
    asked = []
    speak_of = engine.speak

    def noting(text, parameters, reference, report):
        asked.append((text, reference))
        return speak_of(text, parameters, reference, report)

    monkeypatch.setattr(engine, "speak", noting)
    return asked


# The same as the reference


@pytest.mark.parametrize(
    ("parameters", "sampling"),
    [
        ({}, {}),
        (FEW, FEW),
        ({"temperature": 1.2, "top_p": 0.5, "top_k": 0}, {"temperature": 1.2, "top_p": 0.5, "top_k": 0}),
        ({"temperature": 0}, {"do_sample": False}),
        (
            FEW | {"ras_win_len": 3, "ras_win_max_num_repeat": 1},
            FEW | {"ras_win_len": 3, "ras_win_max_num_repeat": 1},
        ),
        (FEW | {"ras_win_len": None}, FEW | {"ras_win_len": None}),
        (FEW | {"ras_win_len": 0}, FEW | {"ras_win_len": None}),
        (FEW | {"ras_win_max_num_repeat": None}, FEW | {"ras_win_len": None}),
        (FEW | {"ras_win_max_num_repeat": 0}, FEW | {"ras_win_len": None}),
        ({"max_new_tokens": 70}, {"max_new_tokens": 70}),
    ],
)
def test_speech_is_what_generate_makes(engine, parameters, sampling):
    scene, text = (
        message(role, type="text", text=said) for role, said in (("scene", SCENE), ("user", "x y."))
    )
    assert_same(
        samples(speak(engine, "x y", parameters=parameters)), reference(engine, scene, text, **sampling)
    )


def test_repetition_aware_sampling_changes_what_is_drawn(engine):
    assert not np.array_equal(
        samples(speak(engine, parameters=FEW)),
        samples(speak(engine, parameters=FEW | {"ras_win_len": None})),
    )


@pytest.mark.parametrize("scene", [None, "", "  "])
def test_there_may_be_no_scene(engine, scene):
    theirs = reference(engine, message("user", type="text", text="x."))
    assert_same(samples(speak(engine, "x", parameters={"scene_prompt": scene})), theirs)


@pytest.mark.parametrize(("told", "heard"), [(None, "it was night"), ("by day", "by day")])
def test_a_voice_is_cloned_as_transformers_clones_it(engine, told, heard):
    voice = recorded()
    theirs = reference(
        engine,
        message("scene", type="text", text=SCENE),
        message("user", type="text", text=heard),
        message("assistant", type="audio", audio=voice.samples),
        message("user", type="text", text="x."),
    )
    output = speak(
        engine,
        "x",
        voice="file-1",
        context=FakeContext(voices={"file-1": voice}),
        parameters={"transcription": told},
    )
    assert_same(samples(output), theirs)
    assert output.result.voice == "Ann"


# Results


def test_speech_is_mono_within_full_scale_and_as_long_as_its_tokens(engine):
    output = speak(engine, parameters={"max_new_tokens": 30}, format="flac")
    result, (audio,) = output.result, output.files
    assert (audio.name, audio.format, audio.sample_rate, result.sample_rate) == ("speech", "flac", RATE, RATE)
    assert audio.samples.shape == ((30 - 8) * FRAME,)
    assert audio.samples.dtype == np.float32
    assert 0 < np.abs(audio.samples).max() <= 1
    assert result.duration == output.audio_seconds == (30 - 8) / 25
    assert (result.voice, result.channels) == ("default", 1)
    assert result.notes == ["The speech reached max_new_tokens (30): the end may be cut off."]


def test_what_is_too_loud_is_turned_down(engine, monkeypatch):
    monkeypatch.setattr(engine.processor, "batch_decode", lambda codes: [torch.linspace(-4.0, 2.0, 7)])
    np.testing.assert_allclose(samples(speak(engine)), np.linspace(-1, 0.5, 7), atol=1e-6)


@pytest.mark.parametrize(("ends", "note"), [(True, ""), (False, "cut off")])
def test_speech_that_ends_by_itself_is_not_said_to_be_cut(engine, monkeypatch, ends, note):
    codes = torch.full((1, 20, 8), 5)
    codes[:, 0] = STREAM_BOS
    codes[:, -1] = STREAM_EOS if ends else 5
    monkeypatch.setattr(engine.model, "generate", lambda **_: codes)
    output = speak(engine)
    assert len(samples(output)) == (20 - 8 - ends) * FRAME
    assert (note in notes(output)) and bool(output.result.notes) == bool(note)


def test_nothing_to_say_is_a_frame_of_silence(engine, monkeypatch):
    codes = torch.full((1, 9, 8), STREAM_EOS)
    codes[:, 0] = STREAM_BOS
    monkeypatch.setattr(engine.model, "generate", lambda **_: codes)
    np.testing.assert_array_equal(samples(speak(engine)), np.zeros(FRAME, np.float32))


def test_a_seed_is_reproducible_and_leaves_torch_as_it_was(engine):
    before = torch.random.get_rng_state()
    first, again, other = (samples(speak(engine, seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(before, torch.random.get_rng_state())
    drawn = [samples(speak(engine, seed=None)) for _ in range(2)]
    assert not np.array_equal(*drawn)


# Dialogues


def test_a_dialogue_is_its_turns_with_pauses_at_exact_times(engine):
    output = dialogue(engine, [("a", "one"), (None, "two"), ("a", "three")], context=company())
    result, audio = output.result, output.files[0]
    assert [(turn.voice, turn.text) for turn in result.turns] == [
        ("Ann", "one"),
        ("default", "two"),
        ("Ann", "three"),
    ]
    assert result.turns[0].start == 0
    assert result.turns[-1].end == result.duration == output.audio_seconds == len(audio.samples) / RATE
    for before, after in zip(result.turns, result.turns[1:], strict=False):
        assert after.start - before.end == pytest.approx(PAUSE_SECONDS)
        pause = audio.samples[round(before.end * RATE) : round(after.start * RATE)]
        assert not pause.any()
    assert all(turn.end - turn.start == pytest.approx((40 - 8) / 25) for turn in result.turns)
    assert np.abs(audio.samples).max() <= 1
    assert [file.name for file in output.files] == [
        "dialogue",
        "dialogue.json",
        "dialogue.srt",
        "dialogue.vtt",
    ]
    assert "Turns 1, 2, 3 reached max_new_tokens (40)" in notes(output)


def company():
    return FakeContext(voices={"a": recorded(), "b": recorded(2.0, "good day", seed=1, name="Bob")})


def test_speakers_stay_themselves(engine, spoken):
    turns = [(None, "one"), ("b", "two"), (None, "three"), ("a", "four"), ("b", "five")]
    dialogue(engine, turns, context=company())
    texts, references = zip(*spoken, strict=True)
    assert texts == ("one.", "two.", "three.", "four.", "five.")
    said = [reference and reference.transcript for reference in references]
    assert said == [None, "good day", "one.", "it was night", "good day"]
    first = samples(speak(engine, "one"))
    np.testing.assert_array_equal(references[2].samples, first)


def test_who_has_not_said_enough_is_chosen_anew(engine, spoken):
    dialogue(engine, [(None, "one"), (None, "two")], parameters={"max_new_tokens": 18})
    assert [reference for _, reference in spoken] == [None, None]


def test_transcripts_are_told_in_the_order_of_the_voices(engine, spoken):
    turns = [("b", "one"), ("a", "two"), ("b", "three")]
    dialogue(engine, turns, context=company(), parameters={"audio_transcriptions": ["the first"]})
    assert [reference.transcript for _, reference in spoken] == ["the first", "it was night", "the first"]


def test_a_dialogue_is_reproducible(engine):
    first, again = (samples(dialogue(engine, [(None, "one"), (None, "two")])) for _ in range(2))
    np.testing.assert_array_equal(first, again)


# What is ignored


def test_what_is_ignored_is_said(engine):
    output = speak(engine, "a <|eot_id|> b", parameters={"transcription": "t", "audio_transcriptions": ["u"]})
    assert "audio_transcriptions was ignored" in notes(output)
    assert "transcription was ignored: no voice" in notes(output)
    assert "<| and |> were left out" in notes(output)
    assert "transcription was ignored: a dialogue" in notes(
        dialogue(engine, [(None, "x")], parameters={"transcription": "t"})
    )


@pytest.mark.parametrize("text", ["a <|AUDIO_OUT|> b", "a 《|audio_out_bos|》", "<|eot_id|>"])
def test_control_tokens_in_texts_control_nothing(engine, spoken, text):
    context = FakeContext(voices={"v": recorded(transcript=text)})
    speak(engine, text, voice="v", context=context, parameters={"scene_prompt": text})
    ((said, reference),) = spoken
    assert "<|" not in said + reference.transcript


# Progress and cancel


def test_progress_rises_over_steps_and_turns(engine):
    context = company()
    dialogue(engine, [("a", "a text of some length"), ("b", "another one")], context=context)
    assert context.fractions == sorted(context.fractions)
    assert len(context.fractions) == 1 + 2 * 40
    assert 0.5 < context.fractions[40] < 0.9
    assert context.fractions[-1] == pytest.approx(1.0)
    assert context.stages == ["speaking"]


def test_a_cancel_ends_it_at_the_next_step(engine):
    context = FakeContext(cancel_after=10)
    with pytest.raises(Canceled):
        speak(engine, context=context)
    assert len(context.reports) == 11
    assert samples(speak(engine)).any()


# Loading


@pytest.fixture
def no_hub(monkeypatch):
    def missing(repository, **_):
        raise LocalEntryNotFoundError("not in the cache")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", missing)
    monkeypatch.setattr(hugging_face, "hub_reachable", lambda url, work_dir: False)


def test_pretrained_means_pretrained(no_hub, work_dir):
    with pytest.raises(WeightsMissing, match="eustlb/higgs-v2"):
        MODEL.load("v2-3B", LoadContext("cpu", "pretrained", work_dir))


@pytest.mark.parametrize("policy", ["auto", "tiny"])
def test_random_weights_stand_in_and_say_so(no_hub, work_dir, policy, caplog):
    assert MODEL.load("v2-3B", LoadContext("cpu", policy, work_dir)).weights == "random"
    assert ("RANDOM" in caplog.text) == (policy == "auto")


def test_published_checkpoints_are_loaded_from_both_repositories(engine, work_dir, tmp_path, monkeypatch):
    """Even with a tokenizer that was in use before it was saved."""
    folder = shutil.copytree(build_checkpoint(work_dir / "tiny"), tmp_path / "published")
    before = speak(engine, voice="a", context=company())
    engine.processor.tokenizer.save_pretrained(folder / "model")
    published = {"eustlb/higgs-v2": folder / "model", "eustlb/higgs-audio-v2-tokenizer": folder / "codec"}
    monkeypatch.setattr(higgs_module, "pretrained_folder", lambda repository, _: published[repository])
    loaded = MODEL.load("v2-3B", LoadContext("cpu", "pretrained", work_dir))
    assert loaded.weights == "pretrained"
    after = speak(loaded.engine, voice="a", context=company())
    np.testing.assert_array_equal(samples(after), samples(before))


def test_everything_that_is_loaded_is_among_what_is_fetched(work_dir):
    folder = build_checkpoint(work_dir / "tiny")
    files = [path.name for path in folder.rglob("*") if path.is_file()]
    assert "chat_template.jinja" in files
    assert all(any(fnmatch(name, pattern) for pattern in hugging_face.NEEDED) for name in files)


def test_what_has_cloned_a_voice_can_be_unloaded(work_dir):
    engine = MODEL.load("v2-3B", LoadContext("cpu", "tiny", work_dir)).engine
    speak(engine, voice="a", context=company())
    codec = weakref.ref(engine.processor.audio_tokenizer)
    MODEL.unload(engine)
    del engine
    gc.collect()
    assert codec() is None


def test_a_broken_engine_is_noticed(engine, work_dir):
    MODEL.check_engine(engine)
    broken = MODEL.load("v2-3B", LoadContext("cpu", "tiny", work_dir)).engine
    with torch.no_grad():
        broken.model.model.norm.weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="not finite"):
        MODEL.check_engine(broken)
