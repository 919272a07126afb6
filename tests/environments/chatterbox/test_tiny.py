"""The tiny checkpoint: true classes, always the same content, and the package as it was afterwards."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from chatterbox.models.t3 import T3
from chatterbox.models.t3.llama_configs import LLAMA_CONFIGS
from chatterbox.models.t3.modules.cond_enc import Perceiver
from chatterbox.tts import ChatterboxTTS

from deployments.models.chatterbox_parameters import ChatterboxParameters
from deployments.tiny.chatterbox import build_checkpoint, reduced


def content(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_it_is_small_and_always_the_same_even_built_by_many_at_once(tmp_path):
    with ThreadPoolExecutor(3) as threads:
        folders = set(threads.map(lambda _: build_checkpoint(tmp_path / "a"), range(3)))
    (folder,) = folders
    assert list(folder.parent.iterdir()) == [folder]
    torch.manual_seed(5)
    assert content(folder) == content(build_checkpoint(tmp_path / "b"))
    assert sum(path.stat().st_size for path in folder.iterdir()) < 25e6


def test_the_package_has_its_true_sizes_again(engine):
    with reduced():
        pass
    assert type(engine.tts) is ChatterboxTTS
    assert type(engine.tts.t3) is T3
    assert engine.tts.t3.cfg.hidden_size == 64
    assert LLAMA_CONFIGS["Llama_520M"]["hidden_size"] == T3().cfg.hidden_size == 1024
    assert Perceiver().pre_attention_query.shape == (1, 32, 1024)


def test_it_makes_noise_as_loud_as_speech_that_ends_by_itself(engine):
    speeches = []
    for seed in range(8):
        torch.manual_seed(seed)
        parameters = ChatterboxParameters(max_new_tokens=500)
        speeches.append(engine.speak("Any text.", engine.default_voice, parameters, lambda _: None))
    assert sum(speech.complete for speech in speeches) >= 6
    for speech in speeches:
        assert np.isfinite(speech.samples).all()
        assert np.abs(speech.samples).max() <= 1
        assert 0.03 < speech.samples.std() < 0.15
