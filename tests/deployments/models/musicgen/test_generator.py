"""Windows of long music."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from deployments.models.musicgen import generator as musicgen_generator
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.generator import GenerationParams
from deployments.models.musicgen.sampling import Sampling
from tests.support.music import PROMPT

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_music_beyond_thirty_seconds_is_generated_in_windows(
    load: Callable[[str], MusicEngine], variant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With windows of 1 s, each of which continues the last 0.4 s of the one before."""
    monkeypatch.setattr(musicgen_generator, "WINDOW_FRAMES", 50)
    monkeypatch.setattr(musicgen_generator, "KEPT_FRAMES", 20)
    engine = load(variant)
    conditions = engine.conditions(PROMPT)
    greedy = Sampling(do_sample=False)

    def generated(frames: int, prompt: Tensor | None = None) -> Tensor:
        generator = engine.generator(2)
        row = generator.begin(GenerationParams(frames, greedy, 0, conditions, prompt))
        fractions = [0.0]
        while not (complete := generator.step()):
            fractions.append(generator.progress(row))
        assert fractions == sorted(fractions)
        assert fractions[-1] > 0.9
        return complete[row]

    with torch.inference_mode():
        codes = generated(90)
        assert codes.shape == (engine.model.decoder.num_codebooks, 90)
        assert codes[:, :50].equal(generated(50))
        assert codes[:, 30:80].equal(generated(50, codes[:, 30:50]))
        assert codes[:, 60:].equal(generated(30, codes[:, 60:80]))
