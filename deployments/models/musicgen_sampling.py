"""The choice of the next tokens, for every row of a batch by its own parameters.

The chain is that of transformers' ``generate``: classifier-free guidance, temperature, top-k, top-p. But
where that draws from one generator for the whole batch, here every token has a uniform number of its own,
drawn with the seed of its row: what a row becomes does not depend on who shares the batch.
"""

from dataclasses import dataclass
from typing import Any, Self

CANDIDATES = 256
"""How many of the most probable tokens are looked at, where no row asks for more: sorting all costs much."""


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
    """The parameters of all rows, as tensors; changed when a row begins, read at every step.

    Args:
        rows: how many there are.
        device: where the logits are.
    """

    def __init__(self, rows: int, device: str) -> None:
        self._rows = [Sampling(do_sample=False)] * rows
        self._device = device
        self._refresh()

    def set(self, row: int, sampling: Sampling) -> Self:
        """Give a row its parameters."""
        self._rows[row] = sampling
        self._refresh()
        return self

    def _refresh(self) -> None:
        import torch

        def column(values: list[Any], dtype: Any) -> Any:
            return torch.tensor(values, dtype=dtype, device=self._device)[:, None, None]

        rows = self._rows
        self._guidance = column([row.guidance_scale for row in rows], torch.float32)
        self._temperature = column([row.temperature for row in rows], torch.float32)
        self._top_k = column([row.top_k or 1 << 30 for row in rows], torch.long)
        self._top_p = column([row.top_p or 2.0 for row in rows], torch.float64)
        self._samples = column([row.do_sample for row in rows], torch.bool)[..., 0]
        self._any_samples = any(row.do_sample for row in rows)
        widest = max(row.top_k or 1 << 30 for row in rows)
        self._candidates = CANDIDATES if widest <= CANDIDATES else None

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

        guided = unconditional + (conditional - unconditional) * self._guidance
        scores = torch.where(self._guidance == 1, conditional, guided)
        best = scores.argmax(-1)
        if not self._any_samples:
            return best
        return torch.where(self._samples, self._sampled(scores, uniforms), best)

    def _sampled(self, scores: Any, uniforms: Any) -> Any:
        """By inversion of the cumulative distribution over the candidates, most probable first.

        In float64, so that a zero more at the end of the sum does not move a choice.
        """
        import torch

        width = min(self._candidates or scores.shape[-1], scores.shape[-1])
        values, tokens = (scores / self._temperature).topk(width)
        rank = torch.arange(width, device=scores.device)
        values = values.double().masked_fill(rank >= self._top_k, -torch.inf)
        chances = values.softmax(-1)
        before = chances.cumsum(-1) - chances
        chances = chances.masked_fill(before >= self._top_p, 0.0)
        cumulative = chances.cumsum(-1)
        passed = cumulative <= uniforms[..., None] * cumulative[..., -1:]
        chosen = passed.sum(-1, keepdim=True).clamp(max=width - 1)
        return tokens.gather(-1, chosen)[..., 0]
