"""The choice of the next tokens, for every row of a batch by its own parameters.

The chain is that of transformers' ``generate``: classifier-free guidance, temperature, top-k, top-p. But
where that draws from one generator for the whole batch, here every token has a uniform number of its own,
drawn with the seed of its row: what a row becomes does not depend on who shares the batch.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one row chooses its tokens."""

    temperature: float = 1.0
    top_k: int = 250
    """0 for no limit."""
    top_p: float = 0.0
    """0 for no limit."""
    guidance_scale: float = 3.0
    """1 for none."""
    do_sample: bool = True
    """False: always the most probable."""


class RowSampling:
    """The parameters of all rows, as tensors; changed when a row begins or ends, read at every step.

    Args:
        rows: how many there are.
        device: where the logits are.
    """

    def __init__(self, rows: int, device: Any) -> None:
        self._rows: list[Sampling | None] = [None] * rows
        self._device = device
        self._refresh()

    def set(self, row: int, sampling: Sampling | None) -> None:
        """Give a row its parameters; None where nobody wants its tokens."""
        self._rows[row] = sampling
        self._refresh()

    def choose(self, conditional: Any, unconditional: Any, uniforms: Any) -> Any:
        """The next token of every row and codebook.

        Args:
            conditional: float32 logits ``[rows, codebooks, vocabulary]``.
            unconditional: the same without text, for guidance.
            uniforms: float64 ``[rows, codebooks]`` in 0..1, one for each choice.

        Returns:
            int64 tokens ``[rows, codebooks]``.
        """
        import torch

        scores = unconditional + (conditional - unconditional) * self._guidance
        if self._any_unguided:  # and rounding must not show
            scores = torch.where(self._guidance == 1, conditional, scores)
        tokens = scores.new_zeros(uniforms.shape, dtype=torch.long)
        if len(self._greedy):
            tokens[self._greedy] = scores[self._greedy].argmax(-1)
        if len(self._sampled):
            tokens[self._sampled] = self._draw(scores[self._sampled], uniforms[self._sampled])
        return tokens

    def _refresh(self) -> None:
        import torch

        def column(values: list[float]) -> Any:
            return torch.tensor(values, dtype=torch.float32, device=self._device)[:, None, None]

        def places(samples: bool) -> Any:
            wanted = [place for place, row in enumerate(self._rows) if row and row.do_sample == samples]
            return torch.tensor(wanted, dtype=torch.long, device=self._device)

        self._greedy, self._sampled = places(samples=False), places(samples=True)
        self._guidance = column([row.guidance_scale if row else 0.0 for row in self._rows])
        self._any_unguided = any(row and row.guidance_scale == 1 for row in self._rows)
        drawn = [row for row in self._rows if row and row.do_sample]
        self._temperature = column([row.temperature for row in drawn])
        self._top_k = self._groups([row.top_k for row in drawn])
        self._top_p = self._groups([row.top_p for row in drawn])

    def _draw(self, scores: Any, uniforms: Any) -> Any:
        """By inversion of the cumulative distribution, in the order of the vocabulary."""
        import torch

        scores = scores / self._temperature
        for top_k, rows in self._top_k:
            chosen = scores[rows]
            scores[rows] = chosen.masked_fill_(chosen < _kth_largest(chosen, top_k), -torch.inf)
        chances = scores.softmax(-1)
        for top_p, rows in self._top_p:
            chances[rows] = _nucleus(chances[rows], top_p)
        cumulative = chances.cumsum(-1, dtype=torch.float64)
        # The first token beyond the mark: one of no chance does not raise the sum, and is never the first.
        marks = uniforms[..., None] * cumulative[..., -1:]
        beyond = torch.searchsorted(cumulative, marks, right=True)[..., 0]
        return beyond.clamp(max=scores.shape[-1] - 1)  # should a mark ever be rounded to the sum

    def _groups(self, limits: list[Any]) -> list[tuple[Any, Any]]:
        """Each limit but 0, with the rows that share it: most often one, and all."""
        import torch

        if len(set(limits)) == 1:
            return [(limits[0], slice(None))] if limits[0] else []
        own = torch.tensor(limits, device=self._device)
        return [(limit, (own == limit).nonzero()[:, 0]) for limit in set(limits) - {0}]


def _kth_largest(scores: Any, k: int) -> Any:
    """The k-th largest of the last dimension, which is kept."""
    import torch

    k = min(k, scores.shape[-1])
    if scores.device.type == "cpu":  # where numpy partitions some twenty times as fast as torch selects
        parted = np.partition(scores.numpy(), -k, axis=-1)
        return torch.from_numpy(parted[..., -k, None].copy())
    return scores.topk(k).values[..., -1:]


def _nucleus(chances: Any, top_p: float) -> Any:
    """The most probable tokens that together have at least that probability; at least one."""
    ranked = chances.sort(-1, descending=True).values
    before = ranked.cumsum(-1) - ranked
    least = ranked.masked_fill(before >= top_p, 2.0).amin(-1, keepdim=True)
    return chances.masked_fill(chances < least, 0.0)
