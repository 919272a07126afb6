"""MusicGen as a model: music equal to that of transformers' `generate`, requests, loading and health."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from audiograph.errors import InvalidRequest
from audiograph.schemas import GenerateMusicRequest
from deployments.models.base import Samples
from deployments.models.loading import load
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.generator import Generator
from deployments.models.musicgen.melody import pitch_classes
from deployments.models.musicgen.model import MusicGen, MusicGenOptions
from tests.deployments.models.fakes import serve
from tests.support.music import FILE, MODEL, PROMPT, music, music_ticket, tone, tune_context

pytestmark = pytest.mark.usefixtures("one_thread")

Load = Callable[[str], MusicEngine]


def reference(
    engine: MusicEngine,
    text: str | None,
    seconds: float,
    *,
    guidance: float = 3.0,
    known_seconds: float = 0.0,
    **inputs: Any,
) -> Samples:
    """Generate music with transformers, greedily: ``[channels, frames]``."""
    model = engine.model
    inputs |= engine.tokenizer([text], return_tensors="pt") if text else model.get_unconditional_inputs()
    inputs |= {"guidance_scale": guidance if text else 1.0, "do_sample": False}
    columns = round((seconds - known_seconds) * 50) + 3
    samples: Samples = model.generate(**inputs, max_new_tokens=columns)[0].numpy()
    return samples


def assert_same(ours: Samples, theirs: Samples) -> None:
    """Compare music; Audiograph scales it down to -1..1 if the codec exceeds that."""
    np.testing.assert_allclose(ours * max(1.0, np.abs(theirs).max()), theirs, atol=1e-5)


# The reference


@pytest.mark.parametrize("variant", ["small", "stereo-small"])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_greedy_music_is_that_of_generate(load: Load, variant: str, guidance: float) -> None:
    engine = load(variant)
    ours = music(engine, do_sample=False, guidance_scale=guidance)
    assert_same(ours, reference(engine, PROMPT, 1.0, guidance=guidance))


def test_without_a_prompt_it_is_the_unconditional_music_of_generate(engine: MusicEngine) -> None:
    theirs = reference(engine, None, 1.0)
    assert_same(music(engine, "", do_sample=False), theirs)


@pytest.mark.parametrize("variant", ["small", "stereo-small"])
def test_a_continuation_is_that_of_generate(load: Load, variant: str) -> None:
    engine = load(variant)
    beginning = torch.from_numpy(tone(0.4, engine.channels))[None]
    theirs = reference(engine, PROMPT, 1.0, known_seconds=0.4, input_values=beginning)
    ours = music(engine, do_sample=False, file=FILE, context=tune_context(0.4, engine.channels))
    assert_same(ours, theirs)


@pytest.mark.parametrize("variant", ["melody", "stereo-melody"])
@pytest.mark.parametrize("melody", [True, False])
def test_a_melody_is_followed_as_generate_follows_it(load: Load, variant: str, melody: bool) -> None:
    engine = load(variant)
    features: dict[str, Any] = {"input_features": pitch_classes(tone(3.0)[0])} if melody else {}
    theirs = reference(engine, PROMPT, 1.0, **features)
    fields: dict[str, Any] = {"file": FILE, "context": tune_context(3.0)} if melody else {}
    ours = music(engine, do_sample=False, **fields)
    assert_same(ours, theirs)


# Requests


def test_a_duration_beyond_the_limit_is_refused() -> None:
    strict = MusicGen(MusicGenOptions(max_duration=1.0))
    strict.check_request(GenerateMusicRequest(prompt="x", duration=1.0), "small")
    with pytest.raises(InvalidRequest, match="at most 1 s") as refused:
        strict.check_request(GenerateMusicRequest(prompt="x", duration=1.5), "small")
    assert refused.value.field == "duration"


# The engine


def test_the_caches_are_released(engine: MusicEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    generators: list[Generator] = []
    build = engine.generator

    def noting(rows: int) -> Generator:
        generators.append(build(rows))
        return generators[-1]

    monkeypatch.setattr(engine, "generator", noting)
    serve(MODEL, engine, music_ticket())
    assert generators[0]._decoder._cache.numel() == 0


def test_every_variant_loads_and_is_healthy(load: Load) -> None:
    for variant in MusicGen.variants:
        MODEL.check_engine(load(variant))


def test_a_broken_engine_is_noticed(tmp_path: Path) -> None:
    broken = load(MODEL, "small", "cpu", "tiny", tmp_path).engine
    with torch.no_grad():
        broken.model.decoder.model.decoder.layer_norm.weight.fill_(torch.nan)
    with pytest.raises(RuntimeError, match="not finite"):
        MODEL.check_engine(broken)


def test_the_true_classes_are_loaded(load: Load) -> None:
    assert isinstance(load("small").model, transformers.MusicgenForConditionalGeneration)
    assert isinstance(load("melody").model, transformers.MusicgenMelodyForConditionalGeneration)
