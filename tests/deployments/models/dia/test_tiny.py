"""The tiny checkpoint of Dia: its architecture, and that it is reproducible."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import transformers

from deployments.models.dia.tiny import CODEC, build_checkpoint


def content(folder: Path) -> dict[str, str]:
    """Return the hashes of all files, by path."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_it_is_of_the_true_architecture_and_always_the_same_whoever_builds_it(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        (folder,) = set(threads.map(lambda _: build_checkpoint(tmp_path / "a"), range(4)))
    assert [path.name for path in (tmp_path / "a").iterdir()] == [folder.name]
    assert content(folder) == content(build_checkpoint(tmp_path / "b"))
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 8e6
    config = transformers.AutoConfig.from_pretrained(folder)
    published = transformers.DiaConfig()
    assert (config.model_type, config.delay_pattern) == ("dia", published.delay_pattern)
    for field in ("vocab_size", "num_channels", "max_position_embeddings"):
        assert getattr(config.decoder_config, field) == getattr(published.decoder_config, field)
    codec = transformers.AutoConfig.from_pretrained(folder / CODEC)
    assert (codec.model_type, codec.sampling_rate, codec.hop_length) == ("dac", 44_100, 512)
    assert (codec.n_codebooks, codec.codebook_size) == (9, 1024)
