"""The tiny checkpoint: original classes, reproducible content, and no lasting change of the package."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chatterbox.models.s3gen import S3Gen, s3gen
from chatterbox.models.t3 import T3, t3
from chatterbox.models.t3.modules import cond_enc
from chatterbox.models.t3.modules.perceiver import Perceiver
from chatterbox.tts import ChatterboxTTS
from s3tokenizer.model_v2 import S3TokenizerV2

from deployments.models.chatterbox.engine import ChatterboxEngine
from deployments.models.chatterbox.parameters import ChatterboxParameters
from deployments.models.chatterbox.tiny import build_checkpoint, reduced


def content(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_it_is_small_and_reproducible_even_if_built_concurrently(tmp_path: Path) -> None:
    with ThreadPoolExecutor(3) as threads:
        folders = set(threads.map(lambda _: build_checkpoint(tmp_path / "a"), range(3)))
    (folder,) = folders
    assert list(folder.parent.iterdir()) == [folder]
    torch.manual_seed(5)
    assert content(folder) == content(build_checkpoint(tmp_path / "b"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 25e6


def test_it_has_the_original_classes(engine: ChatterboxEngine) -> None:
    assert type(engine.tts) is ChatterboxTTS
    assert type(engine.tts.t3) is T3
    assert type(engine.tts.s3gen) is S3Gen
    assert type(engine.tts.t3.cond_enc.perceiver) is Perceiver
    assert engine.tts.t3.cfg.hidden_size == 64


def test_the_package_has_its_original_sizes_again() -> None:
    def sizes() -> tuple[Any, ...]:
        return (
            cond_enc.Perceiver,
            s3gen.HiFTGenerator,
            S3TokenizerV2.__init__,
            t3.LLAMA_CONFIGS["Llama_520M"],
        )

    before = sizes()
    with pytest.raises(InterruptedError), reduced():
        assert not any(now is original for now, original in zip(sizes(), before, strict=True))
        raise InterruptedError
    assert sizes() == before


def test_it_generates_noise_as_loud_as_speech_that_ends_by_itself(engine: ChatterboxEngine) -> None:
    speeches = []
    for seed in range(4):
        torch.manual_seed(seed)
        parameters = ChatterboxParameters(max_new_tokens=150)
        speeches.append(engine.speak("Any text.", engine.default_voice, parameters, lambda _: None))
    assert sum(speech.complete for speech in speeches) >= 2
    for speech in speeches:
        assert np.isfinite(speech.samples).all()
        assert np.abs(speech.samples).max() <= 1
        assert 0.03 < speech.samples.std() < 0.15
