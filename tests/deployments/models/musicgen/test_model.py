"""MusicGen in flight, against transformers' own `generate`, on tiny random checkpoints."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from audiograph.errors import Canceled, InvalidAudio, InvalidRequest, NotFound
from audiograph.schemas import GenerateMusicRequest
from deployments.models.base import LoadContext
from deployments.models.musicgen import engine as musicgen_engine
from deployments.models.musicgen import generator as musicgen_generator
from deployments.models.musicgen.generator import GenerationParams
from deployments.models.musicgen.melody import pitch_classes
from deployments.models.musicgen.model import MusicGen, MusicGenOptions
from deployments.models.musicgen.sampling import Sampling
from tests.deployments.models.fakes import FakeContext, FakeIntake, FakeTicket, serve

MODEL = MusicGen(MusicGenOptions())

pytestmark = pytest.mark.usefixtures("one_thread")
RATE = 32_000


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Any:
    context = LoadContext(device="cpu", policy="tiny", work_dir=tmp_path_factory.mktemp("work"))
    engines = {}

    def loaded(variant: str) -> Any:
        if variant not in engines:
            engines[variant] = MODEL.load(variant, context).engine
        return engines[variant]

    return loaded


@pytest.fixture(scope="module")
def engine(load: Any) -> Any:
    return load("small")


def ticket(prompt: Any = "a slow waltz", *, context: FakeContext | None = None, **fields: Any) -> Any:
    fields = {"duration": 1.0, "seed": 7} | fields
    return FakeTicket(GenerateMusicRequest(prompt=prompt, **fields), context)


def samples(one: Any) -> Any:
    return one.output.files[0].samples


def made(engine: Any, *args: Any, **fields: Any) -> Any:
    one = ticket(*args, **fields)
    serve(MODEL, engine, one)
    return samples(one)


def tone(seconds: float, channels: int = 1, rate: Any = RATE) -> Any:
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate).astype(np.float32)
    return np.repeat(wave[None], channels, axis=0), rate


def recording(seconds: float, channels: int = 1, rate: Any = RATE, **kwargs: Any) -> Any:
    return FakeContext({"tune": tone(seconds, channels, rate)}, **kwargs)


def reference(
    engine: Any,
    text: str | None,
    seconds: float,
    *,
    guidance: Any = 3.0,
    known_seconds: Any = 0.0,
    **inputs: Any,
) -> Any:
    """What transformers makes of it, greedily: ``[channels, frames]``."""
    model = engine.model
    inputs |= engine.tokenizer([text], return_tensors="pt") if text else model.get_unconditional_inputs()
    inputs |= {"guidance_scale": guidance if text else 1.0, "do_sample": False}
    columns = round((seconds - known_seconds) * 50) + 3
    return model.generate(**inputs, max_new_tokens=columns)[0].numpy()


def assert_same(mine: Any, theirs: Any) -> None:
    """Audiograph keeps within -1..1 what the codec makes louder."""
    np.testing.assert_allclose(mine * max(1.0, np.abs(theirs).max()), theirs, atol=1e-5)


# The same as the reference


@pytest.mark.parametrize("variant", ["small", "stereo-small"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_music_is_what_generate_makes(load: Any, variant: str, guidance: Any) -> None:
    engine = load(variant)
    mine = made(engine, do_sample=False, guidance_scale=guidance)
    theirs = reference(engine, "a slow waltz", 1.0, guidance=guidance)
    assert_same(mine, theirs)


def test_without_a_prompt_it_is_the_unconditional_music_of_generate(engine: Any) -> None:
    theirs = reference(engine, None, 1.0)
    assert_same(made(engine, "", do_sample=False), theirs)


@pytest.mark.parametrize("variant", ["small", "stereo-small"])
def test_a_continuation_is_that_of_generate(load: Any, variant: str) -> None:
    engine = load(variant)
    wave, _ = tone(0.4, engine.channels)
    theirs = reference(
        engine, "a slow waltz", 1.0, known_seconds=0.4, input_values=torch.from_numpy(wave)[None]
    )
    mine = made(engine, do_sample=False, file="tune", context=recording(0.4, engine.channels))
    assert_same(mine, theirs)


@pytest.mark.parametrize("variant", ["melody", "stereo-melody"])
@pytest.mark.parametrize("melody", [True, False])
def test_a_melody_is_followed_as_generate_follows_it(load: Any, variant: str, melody: Any) -> None:
    engine = load(variant)
    features = {"input_features": pitch_classes(tone(3.0)[0][0])} if melody else {}
    theirs = reference(engine, "a slow waltz", 1.0, **features)
    given = {"file": "tune", "context": recording(3.0)} if melody else {}
    mine = made(engine, do_sample=False, **given)
    assert_same(mine, theirs)


def test_pitch_classes_of_a_tone() -> None:
    heard = pitch_classes(tone(3.0)[0][0])
    assert heard.shape == (1, 1 + 3 * RATE // 4096, 12)
    assert (heard[0, 2:-2].argmax(-1) == 9).all()  # A
    assert (heard.sum(-1) == 1).all()


# What a row is does not depend on its neighbours


NEIGHBOURS: list[dict[str, Any]] = [
    {"duration": 0.6, "seed": 1, "temperature": 0.7, "top_k": 50},
    {"duration": 2.3, "seed": 2, "guidance_scale": 5.0, "top_k": 0, "top_p": 0.9},
    {"prompt": "a much longer description of a piece for forty trombones and a glockenspiel", "seed": 3},
    {"duration": 1.2, "do_sample": False},
    {"prompt": "", "duration": 0.5, "seed": 4},
]


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_row_is_the_same_alone_and_among_others(load: Any, variant: str) -> None:
    engine = load(variant)
    alone = [made(engine, **fields) for fields in NEIGHBOURS]
    together = [ticket(**fields) for fields in NEIGHBOURS]
    intake = FakeIntake([(12 * number, one) for number, one in enumerate(together)], capacity=4)
    MODEL.run_continuous(engine, intake)
    assert intake.max_unfinished > 2
    for before, one in zip(alone, together, strict=True):
        np.testing.assert_array_equal(samples(one), before)


def test_a_short_piece_leaves_before_a_long_one(engine: Any) -> None:
    order = []

    class Noting(FakeTicket[GenerateMusicRequest]):
        def finish(self, outcome: Any) -> None:
            order.append(self.request.duration)
            super().finish(outcome)

    pieces = [Noting(GenerateMusicRequest(prompt="x", duration=seconds)) for seconds in (3.0, 0.5, 1.0)]
    serve(MODEL, engine, *pieces)
    assert order == [0.5, 1.0, 3.0]


def test_a_seed_is_reproducible_and_told(engine: Any) -> None:
    one, other, same = (ticket(seed=seed) for seed in (1, 2, 1))
    serve(MODEL, engine, one, other, same)
    np.testing.assert_array_equal(samples(one), samples(same))
    assert not np.array_equal(samples(one), samples(other))
    assert one.output.result.seed == 1
    unseeded = ticket(seed=None)
    serve(MODEL, engine, unseeded)
    np.testing.assert_array_equal(samples(unseeded), made(engine, seed=unseeded.output.result.seed))


@pytest.mark.parametrize("fields", [{"top_k": 1}, {"top_p": 1e-6, "top_k": 0}])
def test_sampling_that_leaves_one_choice_is_greedy(engine: Any, fields: Any) -> None:
    np.testing.assert_array_equal(made(engine, **fields), made(engine, do_sample=False))


# Lengths


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.001, 2.5])
@pytest.mark.parametrize("variant", ["small", "stereo-small", "melody"])
def test_the_duration_is_exact(load: Any, variant: str, seconds: float) -> None:
    engine = load(variant)
    one = ticket(duration=seconds)
    serve(MODEL, engine, one)
    assert samples(one).shape == (engine.channels, round(seconds * RATE))
    assert one.output.result.duration == pytest.approx(seconds, abs=1 / RATE)
    assert np.abs(samples(one)).max() <= 1.0


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_music_beyond_thirty_seconds_is_made_in_windows(
    load: Any, variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With windows of 1 s, of which each continues the last 0.4 s of the one before."""
    monkeypatch.setattr(musicgen_generator, "WINDOW_FRAMES", 50)
    monkeypatch.setattr(musicgen_generator, "KEPT_FRAMES", 20)
    engine = load(variant)
    conditions = engine.conditions("a slow waltz")
    greedy = Sampling(do_sample=False)

    def composed(frames: int, prompt: Any = None) -> Any:
        generator = engine.generator(2)
        row = generator.begin(GenerationParams(frames, greedy, 0, conditions, prompt))
        fractions = [0.0]
        while not (complete := generator.step()):
            fractions.append(generator.progress(row))
        assert fractions == sorted(fractions)
        assert fractions[-1] > 0.9
        return complete[row]

    with torch.inference_mode():
        music = composed(90)
        assert music.shape == (engine.model.decoder.num_codebooks, 90)
        assert music[:, :50].equal(composed(50))
        assert music[:, 30:80].equal(composed(50, music[:, 30:50]))
        assert music[:, 60:].equal(composed(30, music[:, 60:80]))


def test_long_music_is_decoded_in_chunks_that_join(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = torch.randint(0, 2048, (4, 500), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = engine.decode(codes)
        monkeypatch.setattr(musicgen_engine, "CHUNK_FRAMES", 200)
        chunked = engine.decode(codes)
    assert chunked.shape == whole.shape == (1, 500 * 640)
    inside = slice(0, 150 * 640)  # before the first seam
    np.testing.assert_allclose(chunked[:, inside], whole[:, inside], atol=0.02)
    error = chunked - whole
    assert np.sqrt((error**2).mean()) < 0.1 * np.sqrt((whole**2).mean())


def test_a_duration_beyond_the_limit_is_refused() -> None:
    strict = MusicGen(MusicGenOptions(max_duration=1.0))
    strict.check_request(GenerateMusicRequest(prompt="x", duration=1.0), "small")
    with pytest.raises(InvalidRequest, match="at most 1 s") as refused:
        strict.check_request(GenerateMusicRequest(prompt="x", duration=1.5), "small")
    assert refused.value.field == "duration"


# Files


def test_a_file_of_any_rate_and_channels_is_continued(load: Any) -> None:
    for variant, channels in (("small", 2), ("small", 6), ("stereo-small", 1), ("stereo-small", 6)):
        engine = load(variant)
        one = ticket(file="tune", context=recording(0.3, channels, 8000))
        serve(MODEL, engine, one)
        assert samples(one).shape == (engine.channels, RATE)
        assert "begins with the file" in " ".join(one.output.result.notes)


def test_what_cannot_be_continued_is_refused_alone(engine: Any) -> None:
    too_long = ticket(duration=60, file="tune", context=recording(31))
    no_room = ticket(duration=1.0, file="tune", context=recording(1.5))
    missing = ticket(file="nothing")
    fine = ticket()
    serve(MODEL, engine, too_long, no_room, missing, fine)
    assert isinstance(too_long.outcome, InvalidAudio)
    assert isinstance(no_room.outcome, InvalidRequest)
    assert isinstance(missing.outcome, NotFound)
    assert samples(fine).shape[1] == RATE


# Progress, cancel, notes


def test_progress_rises_to_the_end(engine: Any) -> None:
    one = ticket(duration=2.0)
    serve(MODEL, engine, one)
    fractions = [fraction for fraction, _ in one.context.reports]
    assert fractions == sorted(fractions)
    assert len(fractions) > 90
    assert fractions[-1] > 0.97


def test_a_canceled_piece_leaves_its_row_to_the_next(engine: Any) -> None:
    canceled = ticket(duration=60.0, context=FakeContext(cancel_after=20))
    others = [ticket(duration=0.5), ticket(duration=0.5, seed=8)]
    intake = serve(MODEL, engine, canceled, *others, capacity=1)
    assert isinstance(canceled.outcome, Canceled)
    np.testing.assert_array_equal(samples(others[0]), made(engine, duration=0.5))
    assert intake.calls < 200


def test_what_is_not_followed_is_said(engine: Any) -> None:
    long = "word " * 200
    one = ticket(long, lyrics="la la", time_signature="7/8")
    two = ticket("", guidance_scale=4.0)
    serve(MODEL, engine, one, two)
    notes = " ".join(one.output.result.notes)
    assert "lyrics were ignored" in notes
    assert "time_signature was ignored" in notes
    assert "only the first 256" in notes
    assert "guidance_scale was ignored" in " ".join(two.output.result.notes)


def test_tempo_and_key_are_part_of_the_description(engine: Any) -> None:
    written_out = made(engine, "jazz. bpm: 120. key: C major", do_sample=False)
    np.testing.assert_array_equal(made(engine, "jazz", bpm=120, key="C major", do_sample=False), written_out)


def test_the_caches_are_given_back(engine: Any) -> None:
    seen = []
    generator_of = engine.generator

    def noting(rows: Any) -> Any:
        seen.append(generator_of(rows))
        return seen[-1]

    engine.generator = noting
    try:
        serve(MODEL, engine, ticket())
    finally:
        del engine.generator
    assert seen[0]._decoder._cache.numel() == 0


def test_every_variant_loads_and_is_healthy(load: Any) -> None:
    for variant in MusicGen.variants:
        MODEL.check_engine(load(variant))


def test_a_broken_engine_is_noticed(load: Any, tmp_path: Path) -> None:
    broken = MODEL.load("small", LoadContext("cpu", "tiny", tmp_path)).engine
    with torch.no_grad():
        broken.model.decoder.model.decoder.layer_norm.weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="not finite"):
        MODEL.check_engine(broken)


def test_the_true_classes_are_loaded(load: Any) -> None:
    assert isinstance(load("small").model, transformers.MusicgenForConditionalGeneration)
    assert isinstance(load("melody").model, transformers.MusicgenMelodyForConditionalGeneration)
