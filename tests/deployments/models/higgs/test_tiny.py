"""The tiny checkpoint of Higgs Audio: its architecture, and that it is reproducible."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import transformers

from deployments.models.higgs.tiny import build_checkpoint


def content(folder: Path) -> dict[str, str]:
    """Return the hashes of all files, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_it_is_of_the_true_architecture(tmp_path: Path) -> None:
    folder = build_checkpoint(tmp_path)
    config = transformers.AutoConfig.from_pretrained(folder / "model")
    assert (config.model_type, config.num_codebooks, config.codebook_size) == ("higgs_audio_v2", 8, 1026)
    codec = transformers.AutoConfig.from_pretrained(folder / "codec")
    assert (codec.sample_rate, codec.frame_rate, codec.num_quantizers) == (24_000, 25, 8)
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 9e6


def test_its_content_is_always_the_same_even_built_by_many_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        folders = set(threads.map(lambda _: build_checkpoint(tmp_path / "a"), range(4)))
    (folder,) = folders
    assert list(folder.parent.iterdir()) == [folder]
    assert content(folder) == content(build_checkpoint(tmp_path / "b"))
