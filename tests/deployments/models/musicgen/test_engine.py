"""Decoding of long music with the codec."""

import numpy as np
import pytest
import torch

from deployments.models.musicgen import engine as musicgen_engine
from deployments.models.musicgen.engine import MusicEngine

pytestmark = pytest.mark.usefixtures("one_thread")


def test_long_music_is_decoded_in_chunks_that_join(
    engine: MusicEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = torch.randint(0, 2048, (4, 500), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = engine.decode(codes)
        monkeypatch.setattr(musicgen_engine, "CHUNK_FRAMES", 200)
        chunked = engine.decode(codes)
    assert chunked.shape == whole.shape == (1, 500 * 640)
    inside = slice(0, 150 * 640)  # before the first crossfade
    np.testing.assert_allclose(chunked[:, inside], whole[:, inside], atol=0.02)
    error = chunked - whole
    assert np.sqrt((error**2).mean()) < 0.1 * np.sqrt((whole**2).mean())
