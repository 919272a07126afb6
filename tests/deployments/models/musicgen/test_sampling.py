"""Sampling of tokens, against transformers' own logits warpers."""

import pytest
import torch
from torch import Tensor
from transformers.generation import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from deployments.models.musicgen.sampling import RowSampling, Sampling

DRAWS = 4000
VOCABULARY = 300


def logits(seed: int = 0) -> Tensor:
    return torch.randn(1, 1, VOCABULARY, generator=torch.Generator().manual_seed(seed))


def frequencies(sampling: Sampling, scores: Tensor) -> Tensor:
    """Return the frequency of each token over evenly spaced uniform numbers."""
    rows = RowSampling(1, "cpu")
    rows.set(0, sampling)
    uniforms = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS
    chosen = torch.cat([rows.choose(scores, scores, uniform.view(1, 1)).flatten() for uniform in uniforms])
    return torch.bincount(chosen, minlength=VOCABULARY) / DRAWS


def probabilities(sampling: Sampling, scores: Tensor) -> Tensor:
    """Return the probability of each token in transformers."""
    processed: Tensor = TemperatureLogitsWarper(sampling.temperature)(None, scores[0])
    if sampling.top_k:
        processed = TopKLogitsWarper(sampling.top_k)(None, processed)
    if sampling.top_p:
        processed = TopPLogitsWarper(sampling.top_p)(None, processed)
    return processed.softmax(-1)[0]


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.5, top_k=10),
        Sampling(temperature=2.0, top_k=0),
        Sampling(top_k=0, top_p=0.7),
        Sampling(top_k=40, top_p=0.9),
        Sampling(top_k=0, top_p=1.0),
        Sampling(top_k=1000),
    ],
)
def test_tokens_are_as_frequent_as_in_transformers(sampling: Sampling) -> None:
    expected = probabilities(sampling, logits())
    found = frequencies(sampling, logits())
    torch.testing.assert_close(found, expected.float(), atol=1.5 / DRAWS, rtol=0)


def test_guidance_goes_beyond_the_condition() -> None:
    rows = RowSampling(3, "cpu")
    for row, scale in enumerate((1.0, 3.0, 2.0)):
        rows.set(row, Sampling(guidance_scale=scale, do_sample=False))
    conditional = torch.tensor([1.0, 0.9]).expand(3, 1, 2)
    unconditional = torch.tensor([0.5, 0.1]).expand(3, 1, 2)
    # Guided by 3: 2.0 against 2.5; by 2: 1.5 against 1.7.
    assert rows.choose(conditional, unconditional, torch.zeros(3, 1)).flatten().tolist() == [0, 1, 1]


def test_each_row_has_its_own_parameters() -> None:
    rows = RowSampling(3, "cpu")
    rows.set(0, Sampling(top_k=0, guidance_scale=1.0))
    rows.set(1, Sampling(top_k=1, guidance_scale=1.0))
    rows.set(2, Sampling(do_sample=False, guidance_scale=1.0))
    scores = torch.cat([logits()] * 3)
    almost_one = torch.full((3, 1), 1 - 1e-12, dtype=torch.float64)
    first, second, third = rows.choose(scores, scores, almost_one).flatten().tolist()
    best = int(logits().argmax())
    assert (first, second, third) == (VOCABULARY - 1, best, best)
