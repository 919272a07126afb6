"""The tiny checkpoints, loaded and decoded by openai-whisper itself."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import whisper
from torch import Tensor

from deployments.models.whisper.model import Whisper
from deployments.models.whisper.tiny import SPEECH, VARIANTS, build_checkpoint

SENTENCE = "".join(text for _, text, _ in SPEECH).strip()

pytestmark = pytest.mark.usefixtures("one_thread")


def state(path: Path) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = torch.load(path, weights_only=True)["model_state_dict"]
    return weights


def test_every_variant_of_the_model_has_one() -> None:
    assert tuple(VARIANTS) == Whisper.variants


@pytest.mark.parametrize("variant", VARIANTS)
def test_whisper_loads_it_and_decodes_the_sentence(variant: str, tmp_path: Path) -> None:
    model = whisper.load_model(str(build_checkpoint(variant, tmp_path)), device="cpu")
    large = variant in {"large-v3", "turbo"}
    assert (model.dims.n_mels, model.num_languages) == ((128, 100) if large else (80, 99))

    mel = torch.randn(2, model.dims.n_mels, 3000)
    results = whisper.decode(model, mel, whisper.DecodingOptions(fp16=False))
    assert [result.text for result in results] == [SENTENCE] * 2
    assert [result.language for result in results] == ["en"] * 2
    assert all(result.avg_logprob > -0.01 for result in results)


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 1.0, "best_of": 5},
        {"beam_size": 3},
        {"language": "ja", "task": "translate"},
        {"without_timestamps": True},
        {"prompt": list(range(400))},
    ],
    ids=str,
)
def test_the_sentence_is_decoded_with_every_option(options: dict[str, Any], tmp_path: Path) -> None:
    model = whisper.load_model(str(build_checkpoint("tiny", tmp_path)), device="cpu")
    decoding = whisper.DecodingOptions(fp16=False, **options)
    assert whisper.decode(model, torch.randn(80, 3000), decoding).text == SENTENCE


def test_the_same_checkpoint_is_built_anywhere_and_only_once(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = build_checkpoint("tiny", tmp_path / "a")
    written = first.stat().st_mtime_ns
    torch.manual_seed(2)
    second = build_checkpoint("tiny", tmp_path / "b")
    ours, theirs = state(first), state(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert build_checkpoint("tiny", tmp_path / "a").stat().st_mtime_ns == written


def test_replicas_may_build_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: build_checkpoint("base", tmp_path), range(4)))
    assert set(paths) == set(tmp_path.iterdir())  # one checkpoint, and no temporary files
    weights = state(paths[0])
    assert all(np.isfinite(weights[name].numpy()).all() for name in weights)
