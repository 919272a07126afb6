"""Samples the next tokens of every row of a batch, by the row's own parameters.

The steps are those of transformers' ``generate``: classifier-free guidance, temperature, top-k, top-p. That
draws from one generator for the whole batch. Here every token has a uniform number of its own, drawn with the
seed of its row: so a row's tokens do not depend on the other rows.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch
    from torch import Tensor


Limit = TypeVar("Limit", int, float)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters of one row."""

    temperature: float = 1.0
    top_k: int = 250
    """0 for no limit."""
    top_p: float = 0.0
    """0 for no limit."""
    guidance_scale: float = 3.0
    """1 for none."""
    do_sample: bool = True
    """False for greedy decoding."""


class RowSampling:
    """Sampling parameters of all rows as tensors; they change when a row begins or ends.

    Args:
        rows: number of rows.
        device: of the logits.
    """

    def __init__(self, rows: int, device: "torch.device | str") -> None:
        self._rows: list[Sampling | None] = [None] * rows
        self._device = device
        self._refresh()

    def set(self, row: int, sampling: Sampling | None) -> None:
        """Set a row's parameters; None for an idle row."""
        self._rows[row] = sampling
        self._refresh()

    def choose(self, conditional: "Tensor", unconditional: "Tensor", uniforms: "Tensor") -> "Tensor":
        """Choose the next token of every row and codebook.

        Args:
            conditional: float32 logits ``[rows, codebooks, vocabulary]``.
            unconditional: the same without text, for guidance.
            uniforms: float64 ``[rows, codebooks]`` in 0..1, one per token.

        Returns:
            int64 tokens ``[rows, codebooks]``.
        """
        import torch

        scores = unconditional + (conditional - unconditional) * self._guidance
        if self._any_unguided:  # without the rounding error of guidance
            scores = torch.where(self._guidance == 1, conditional, scores)
        tokens = scores.new_zeros(uniforms.shape, dtype=torch.long)
        if len(self._greedy):
            tokens[self._greedy] = scores[self._greedy].argmax(-1)
        if len(self._sampled):
            tokens[self._sampled] = self._draw(scores[self._sampled], uniforms[self._sampled])
        return tokens

    def _refresh(self) -> None:
        import torch

        def column(values: list[float]) -> "Tensor":
            return torch.tensor(values, dtype=torch.float32, device=self._device)[:, None, None]

        def indices(samples: bool) -> "Tensor":
            found = [index for index, row in enumerate(self._rows) if row and row.do_sample == samples]
            return torch.tensor(found, dtype=torch.long, device=self._device)

        self._greedy, self._sampled = indices(samples=False), indices(samples=True)
        self._guidance = column([row.guidance_scale if row else 0.0 for row in self._rows])
        self._any_unguided = any(row and row.guidance_scale == 1 for row in self._rows)
        sampled = [row for row in self._rows if row and row.do_sample]
        self._temperature = column([row.temperature for row in sampled])
        self._top_k = self._groups([row.top_k for row in sampled])
        self._top_p = self._groups([row.top_p for row in sampled])

    def _draw(self, scores: "Tensor", uniforms: "Tensor") -> "Tensor":
        """Sample by inverting the cumulative distribution, in the order of the vocabulary."""
        import torch

        scores = scores / self._temperature
        for top_k, rows in self._top_k:
            chosen = scores[rows]
            scores[rows] = chosen.masked_fill_(chosen < _kth_largest(chosen, top_k), -torch.inf)
        probabilities = scores.softmax(-1)
        for top_p, rows in self._top_p:
            probabilities[rows] = _nucleus(probabilities[rows], top_p)
        cumulative = probabilities.cumsum(-1, dtype=torch.float64)
        # The first token beyond the mark: a token of probability 0 does not raise the sum, and is never it.
        marks = uniforms[..., None] * cumulative[..., -1:]
        beyond = torch.searchsorted(cumulative, marks, right=True)[..., 0]
        return beyond.clamp(max=scores.shape[-1] - 1)  # in case a mark is rounded to the sum

    def _groups(self, limits: list[Limit]) -> "list[tuple[Limit, Tensor | slice]]":
        """Group rows by their limit, without those of 0; usually all rows share one."""
        import torch

        if len(set(limits)) == 1:
            return [(limits[0], slice(None))] if limits[0] else []
        own = torch.tensor(limits, device=self._device)
        return [(limit, (own == limit).nonzero()[:, 0]) for limit in set(limits) - {0}]


def _kth_largest(scores: "Tensor", k: int) -> "Tensor":
    """Return the k-th largest value of the last dimension, which is kept."""
    import torch

    k = min(k, scores.shape[-1])
    if scores.device.type == "cpu":  # NumPy partitions some twenty times as fast as torch selects
        parted = np.partition(scores.numpy(), -k, axis=-1)
        return torch.from_numpy(parted[..., -k, None].copy())
    return scores.topk(k).values[..., -1:]


def _nucleus(probabilities: "Tensor", top_p: float) -> "Tensor":
    """Keep the most probable tokens whose probabilities add up to at least `top_p` (Holtzman et al. 2020)."""
    ranked = probabilities.sort(-1, descending=True).values
    before = ranked.cumsum(-1) - ranked
    smallest = ranked.masked_fill(before >= top_p, 2.0).amin(-1, keepdim=True)
    return probabilities.masked_fill(probabilities < smallest, 0.0)
