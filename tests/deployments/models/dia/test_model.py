"""Dia, compared with transformers' `generate`, on a tiny random checkpoint."""

import itertools
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers as hf

from audiograph.errors import Canceled, InvalidRequest, NotFound, WeightsMissing
from audiograph.schemas import AudioFormat, DialogueRequest, DialogueResult, Turn
from deployments.config import WeightsPolicy
from deployments.models.base import Options, Output, Samples, VoiceSample
from deployments.models.dia.engine import DiaEngine
from deployments.models.dia.model import Dia
from deployments.models.dia.tiny import CODEC, END_TOKEN, build_checkpoint
from deployments.models.loading import load
from deployments.models.weights import hugging_face
from tests.deployments.models.fakes import FakeContext
from tests.support.speech import samples_of

MODEL = Dia(Options())
VARIANT = Dia.default_variant
RATE, FRAME = 44_100, 512
SILENT_STEPS = 16

Generate = Callable[..., Samples]
TurnFields = str | tuple[str, str]
"""A text, or a text and a voice."""

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def engine(work_dir: Path) -> DiaEngine:
    return load(MODEL, VARIANT, "cpu", "tiny", work_dir).engine


@pytest.fixture(scope="module")
def generate(work_dir: Path) -> Generate:
    """Return a function that speaks a script with transformers alone."""
    folder = build_checkpoint(work_dir / "tiny")
    model = hf.DiaForConditionalGeneration.from_pretrained(folder).eval()
    features = hf.DiaFeatureExtractor(sampling_rate=RATE, hop_length=FRAME)
    codec = hf.DacModel.from_pretrained(folder / CODEC).eval()
    processor = hf.DiaProcessor(features, hf.DiaTokenizer(), codec)

    def generate(text: str, audio: Samples | None = None, *, seed: int = 7, **parameters: Any) -> Samples:
        prompt = {} if audio is None else {"audio": [audio], "sampling_rate": RATE}
        inputs = processor(text=[text], padding=True, return_tensors="pt", **prompt)
        length = processor.get_audio_prompt_len(inputs["decoder_attention_mask"]) if prompt else None
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            tokens = model.generate(**inputs, do_sample=True, **parameters)
        (decoded,) = processor.batch_decode(tokens, audio_prompt_len=length)
        samples: Samples = decoded.numpy()
        return samples

    return generate


def noise(seconds: float, seed: int) -> Samples:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)


VOICES = {
    "ann": VoiceSample("Ann", noise(0.31, 1), RATE, "This is Ann."),
    "bob": VoiceSample("Bob", noise(0.2, 2), RATE, "And\n this is [S1] Bob."),
    "mute": VoiceSample("Mute", noise(0.2, 3), RATE, None),
    "long": VoiceSample("Long", noise(35.0, 4), RATE, "On and on."),
    "longest": VoiceSample("Longest", noise(35.6, 4), RATE, "On and on."),
    "wordy": VoiceSample("Wordy", noise(0.2, 5), RATE, 1020 * "x"),
}


def build_request(
    *turns: TurnFields,
    seed: int | None = 7,
    format: AudioFormat = "wav",  # noqa: A002  # the name of the field
    **parameters: Any,
) -> DialogueRequest:
    """Build a request, by default for 24 frames with sound."""
    built = [
        Turn(text=turn) if isinstance(turn, str) else Turn(text=turn[0], voice=turn[1])
        for turn in turns or ("Hello there.", "Hi!")
    ]
    parameters = {"max_new_tokens": 24 + SILENT_STEPS} | parameters
    return DialogueRequest(turns=built, seed=seed, format=format, parameters=parameters)


def run(engine: DiaEngine, *turns: TurnFields, context: FakeContext | None = None, **fields: Any) -> Output:
    request = build_request(*turns, **fields)
    MODEL.check_request(request, VARIANT)
    return MODEL.run(engine, request, context or FakeContext(voices=VOICES))


def notes(output: Output) -> str:
    return " ".join(output.result.notes)


def refused(*turns: TurnFields, **fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as error:
        MODEL.check_request(build_request(*turns, **fields), VARIANT)
    return error.value


# Comparison with transformers


DEFAULTS = {"temperature": 1.8, "top_p": 0.9, "top_k": 45, "guidance_scale": 3.0}
NEARLY_GREEDY = {"temperature": 1.0, "top_p": 0.0, "top_k": 5, "guidance_scale": 1.0}


@pytest.mark.parametrize("parameters", [DEFAULTS, NEARLY_GREEDY])
def test_a_dialogue_is_what_generate_makes(
    engine: DiaEngine, generate: Generate, parameters: dict[str, Any]
) -> None:
    expected = generate("[S1] Hello there. [S2] Hi!", max_new_tokens=40, **parameters)
    np.testing.assert_array_equal(samples_of(run(engine, **parameters)), expected)


@pytest.mark.parametrize("parameters", [DEFAULTS, NEARLY_GREEDY])
def test_voices_are_cloned_as_generate_clones_them(
    engine: DiaEngine, generate: Generate, parameters: dict[str, Any]
) -> None:
    prompt = np.concatenate([VOICES["ann"].samples, VOICES["bob"].samples])
    text = "[S1] This is Ann. [S2] And this is Bob. [S1] Hello there. [S2] Hi!"
    expected = generate(text, prompt, max_new_tokens=40, **parameters)
    actual = samples_of(run(engine, ("Hello there.", "ann"), ("Hi!", "bob"), **parameters))
    assert len(actual) == 24 * FRAME  # without the prompt
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(
    ("turns", "text"),
    [
        ([("Hello.", "bob"), "Hi!"], "[S1] And this is Bob. Hello. [S2] Hi!"),
        (["Hello.", ("Hi!", "bob")], "[S1] And this is Bob. [S2] Hello. [S1] Hi!"),
    ],
)
def test_one_voice_leaves_the_other_free(
    engine: DiaEngine, generate: Generate, turns: list[TurnFields], text: str
) -> None:
    expected = generate(text, VOICES["bob"].samples, max_new_tokens=40, **DEFAULTS)
    np.testing.assert_array_equal(samples_of(run(engine, *turns)), expected)


def test_defaults_are_those_of_the_specification(engine: DiaEngine, generate: Generate) -> None:
    request = DialogueRequest(turns=[Turn(text="Hello there."), Turn(text="Hi!")], seed=7)
    output = MODEL.run(engine, request, FakeContext())
    expected = generate("[S1] Hello there. [S2] Hi!", max_new_tokens=256, **DEFAULTS)
    np.testing.assert_array_equal(samples_of(output), expected)


# Results


def test_the_recording_and_its_files_agree(engine: DiaEngine) -> None:
    output = run(engine, format="flac")
    assert isinstance(output.result, DialogueResult)
    audio, *files = output.files
    assert (audio.name, audio.sample_rate, audio.format) == ("dialogue", RATE, "flac")
    assert samples_of(output).dtype == np.float32
    assert samples_of(output).shape == (24 * FRAME,)
    assert 0 < np.abs(samples_of(output)).max() <= 1
    assert output.result.duration == output.audio_seconds == 24 * FRAME / RATE
    assert (output.result.sample_rate, output.result.channels) == (RATE, 1)
    assert [file.name for file in files] == ["dialogue.json", "dialogue.srt", "dialogue.vtt"]
    assert json.loads(files[0].content)["turns"][1]["text"] == "Hi!"
    assert "S2: Hi!" in files[1].content.decode()


@pytest.mark.parametrize("frames", [1, 2, 30])
def test_every_length_makes_a_sound(engine: DiaEngine, frames: int) -> None:
    output = run(engine, ("Hello.", "ann"), "Hi!", max_new_tokens=frames + SILENT_STEPS)
    assert samples_of(output).shape == (frames * FRAME,)


@pytest.mark.parametrize(("step", "frames"), [(10, 10), (0, 1)])
def test_a_dialogue_ends_where_the_model_ends_it(engine: DiaEngine, step: int, frames: int) -> None:
    steps = itertools.count()

    def end(module: torch.nn.Module, args: Any, logits: torch.Tensor) -> None:
        tokens = logits.view(*logits.shape[:-1], 9, -1)  # a view: writing to it changes the logits
        if next(steps) >= step:
            tokens[..., 0, END_TOKEN] = 100.0

    handle = engine.model.logits_dense.register_forward_hook(end)
    try:
        output = run(engine)
    finally:
        handle.remove()
    assert len(samples_of(output)) == frames * FRAME
    assert "cut off" not in notes(output)


def test_a_dialogue_that_is_cut_off_says_so(engine: DiaEngine) -> None:
    assert "may be cut off: max_new_tokens (40) was reached after 0.3 s" in notes(run(engine))


def test_what_cannot_be_followed_is_said(engine: DiaEngine) -> None:
    cool = run(engine, temperature=0.4)
    assert "temperature was raised from 0.4 to 1" in notes(cool)
    np.testing.assert_array_equal(samples_of(cool), samples_of(run(engine, temperature=1)))
    signs = run(engine, "Hello [S2] there\x01.", "<pad>Hi!")
    assert "left out of the texts" in notes(signs)
    np.testing.assert_array_equal(samples_of(signs), samples_of(run(engine, "Hello there .", "Hi!")))
    assert "raised" not in notes(signs)
    assert "left out" not in notes(cool)


def test_long_voices_leave_less_room(engine: DiaEngine) -> None:
    output = run(engine, ("Hello.", "long"), "Hi!", max_new_tokens=256)
    assert "max_new_tokens was lowered from 256 to 57" in notes(output)
    assert len(samples_of(output)) == (57 - SILENT_STEPS) * FRAME


# Seeds


def test_a_seed_is_reproducible(engine: DiaEngine) -> None:
    before = torch.random.get_rng_state()
    first, other, again = (samples_of(run(engine, seed=seed)) for seed in (1, 2**32 - 1, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_without_a_seed_it_is_another_each_time(engine: DiaEngine) -> None:
    first, second = (samples_of(run(engine, seed=None)) for _ in range(2))
    assert not np.array_equal(first, second)


def test_two_at_once_do_not_draw_from_each_other(engine: DiaEngine, work_dir: Path) -> None:
    engines = [engine, load(MODEL, VARIANT, "cpu", "tiny", work_dir).engine]
    with ThreadPoolExecutor(2) as threads:
        results = list(threads.map(lambda engine: samples_of(run(engine)), engines))
    for result in results:
        np.testing.assert_array_equal(result, samples_of(run(engine)))


# Progress and cancellation


def test_progress_rises_to_the_end(engine: DiaEngine) -> None:
    context = FakeContext(voices=VOICES)
    run(engine, ("Hello.", "ann"), "Hi!", context=context)
    assert context.fractions == sorted(set(context.fractions))
    assert (context.fractions[0], context.fractions[-1], len(context.fractions)) == (0, 1, 41)
    assert context.stages == ["speaking"]


def test_a_cancel_stops_it_at_its_next_step(engine: DiaEngine) -> None:
    before = samples_of(run(engine))
    context = FakeContext(cancel_after=10)
    with pytest.raises(Canceled):
        run(engine, context=context, max_new_tokens=3072)
    assert context.checks == 11
    np.testing.assert_array_equal(samples_of(run(engine)), before)


# Refusals


def test_what_is_no_dialogue_is_refused() -> None:
    assert Dia.tasks == ("dialogue",)
    assert refused("Hello.").field == "turns"
    assert refused("Hello.", ("Hi!", "ann"), ("Ho!", "bob"), ("He!", "cleo")).field == "turns.3.voice"
    assert refused("Hello.", "[S1]").field == "turns.1.text"
    assert refused("Hello.", 1024 * "x").field == "turns"


@pytest.mark.parametrize(
    ("voice", "message", "field"),
    [
        ("wordy", "transcripts", "turns"),
        ("mute", "'Mute' has no transcript", "turns.0.voice"),
        ("longest", "name shorter ones", "turns"),
    ],
)
def test_a_voice_that_cannot_be_used_is_refused(
    engine: DiaEngine, voice: str, message: str, field: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"(?i){message}") as error:
        run(engine, ("Hello.", voice), "Hi!")
    assert error.value.field == field


def test_a_voice_that_is_gone_is_missed(engine: DiaEngine) -> None:
    with pytest.raises(NotFound):
        run(engine, ("Hello.", "nobody"), "Hi!")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_tokens", 16),
        ("max_new_tokens", 3073),
        ("max_new_tokens", 100.0),
        ("max_new_tokens", True),
        ("temperature", -0.1),
        ("temperature", "hot"),
        ("temperature", float("nan")),
        ("top_p", 1.01),
        ("top_k", 4),
        ("guidance_scale", 0.9),
        ("guidance_scale", None),
    ],
)
def test_a_parameter_out_of_range_is_refused(name: str, value: object) -> None:
    error = refused(**{name: value})
    assert error.field == f"parameters.{name}"
    assert repr(value) in error.message


def test_an_unknown_parameter_is_refused() -> None:
    error = refused(cfg_weight=0.5)
    assert error.field == "parameters.cfg_weight"
    assert "guidance_scale" in error.message


MIN_VALUES = {"temperature": 0, "top_p": 0.0, "top_k": 5, "guidance_scale": 1}
MAX_VALUES = {"temperature": 10.0, "top_p": 1.0, "top_k": 1024, "guidance_scale": 100.0}


@pytest.mark.parametrize("values", [MIN_VALUES, MAX_VALUES])
def test_bounds_belong_to_the_ranges(engine: DiaEngine, values: dict[str, Any]) -> None:
    """All allowed values run; with the smallest top_k, guidance leaves few tokens to sample."""
    assert len(samples_of(run(engine, **values | {"max_new_tokens": 40})))


# Weights


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Make the hub unreachable; return its cache, folders by repository, to be filled."""
    cached: dict[str, Path] = {}

    def snapshot_download(repository: str, *, local_files_only: bool, allow_patterns: list[str]) -> str:
        if repository not in cached:
            raise huggingface_hub.errors.LocalEntryNotFoundError("not in the cache")
        return str(cached[repository])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(hugging_face, "hub_reachable", lambda url, work_dir: False)
    return cached


def test_published_weights_come_from_two_repositories(hub: dict[str, Path], work_dir: Path) -> None:
    folder = build_checkpoint(work_dir / "tiny")
    hub["nari-labs/Dia-1.6B-0626"] = folder
    with pytest.raises(WeightsMissing, match="descript/dac_44khz"):
        load(MODEL, VARIANT, "cpu", "pretrained", work_dir)
    hub["descript/dac_44khz"] = folder / CODEC
    loaded = load(MODEL, VARIANT, "cpu", "pretrained", work_dir)
    assert loaded.weights == "pretrained"
    assert len(samples_of(run(loaded.engine))) == 24 * FRAME


def test_pretrained_means_pretrained(hub: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"nari-labs/Dia-1\.6B-0626"):
        load(MODEL, VARIANT, "cpu", "pretrained", tmp_path)


@pytest.mark.parametrize("policy", ["auto", "tiny"])
def test_random_weights_stand_in_and_say_so(
    hub: dict[str, Path], work_dir: Path, policy: WeightsPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    assert load(MODEL, VARIANT, "cpu", policy, work_dir).weights == "random"
    assert ("RANDOM" in caplog.text) == (policy == "auto")


def test_a_broken_engine_is_noticed(engine: DiaEngine, work_dir: Path) -> None:
    MODEL.check_engine(engine)
    broken = load(MODEL, VARIANT, "cpu", "tiny", work_dir).engine
    with torch.no_grad():
        broken.model.model.decoder.norm.weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="not finite"):
        MODEL.check_engine(broken)
