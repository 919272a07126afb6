"""The tiny checkpoints, loaded by transformers itself."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import transformers

from deployments.models.musicgen.tiny import build_checkpoint

KINDS = [(melody, stereo) for melody in (False, True) for stereo in (False, True)]


def content(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(("melody", "stereo"), KINDS)
def test_it_is_of_the_true_architecture(tmp_path: Path, melody: bool, stereo: bool) -> None:
    folder = build_checkpoint(tmp_path, melody=melody, stereo=stereo)
    config = transformers.AutoConfig.from_pretrained(folder)
    assert config.model_type == ("musicgen_melody" if melody else "musicgen")
    assert (config.decoder.num_codebooks, config.decoder.audio_channels) == ((8, 2) if stereo else (4, 1))
    assert (config.audio_encoder.sampling_rate, config.audio_encoder.frame_rate) == (32_000, 50)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8e6


def test_its_content_is_always_the_same(tmp_path: Path) -> None:
    first = build_checkpoint(tmp_path / "a", melody=False, stereo=False)
    second = build_checkpoint(tmp_path / "b", melody=False, stereo=False)
    assert content(first) == content(second)


def test_it_may_be_built_by_many_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        folders = set(threads.map(lambda _: build_checkpoint(tmp_path, melody=True, stereo=False), range(4)))
    (folder,) = folders
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    transformers.MusicgenMelodyForConditionalGeneration.from_pretrained(folder)
