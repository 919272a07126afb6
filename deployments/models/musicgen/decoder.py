"""MusicGen's transformer over a fixed number of rows, each at its own position.

The weights are those of transformers (`MusicgenForCausalLM`, `MusicgenMelodyForCausalLM`). The forward pass
is written here, because that of transformers has one position for the whole batch. Every step computes the
same number of rows, and attends to a multiple of 64 positions, of which masked ones add exact zeros. So a
row's numbers do not depend on the other rows.

Each row is computed twice for classifier-free guidance: the first half of a tensor is conditional, the second
unconditional. The description enters by cross attention (MusicGen, Copet et al. 2023, section 2.2), or as a
prefix of the sequence (melody variants).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deployments.models.musicgen.cuda_graphs import StepGraphs

if TYPE_CHECKING:
    from torch import Tensor

ATTENDED_STEP = 64
"""Attention spans a multiple of this many positions, so that short music does not pay for a long cache."""
CACHE_STEP = 512
"""Positions by which the cache grows."""
TEXT_STEP = 32
"""Text tokens by which the cross-attention cache grows."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Hidden states that condition a row's music; each has at least one frame, or is None."""

    text: "Tensor | None" = None
    """``[tokens, hidden]`` for cross attention."""
    prefix: "Tensor | None" = None
    """``[2, frames, hidden]``: conditional and unconditional."""

    @property
    def prefix_frames(self) -> int:
        """Number of positions before the first token."""
        return 0 if self.prefix is None else int(self.prefix.shape[1])


@dataclass(frozen=True, slots=True)
class CacheSlice:
    """The place of a batch of columns in the cache."""

    rows: "Tensor | None"
    """int64 ``[batch]``, or None for all rows in order."""
    positions: "Tensor"
    """int64 ``[batch, columns]``."""
    mask: "Tensor"
    """bool ``[batch, 1, columns, attended]``: the positions that each column attends to."""


class Decoder:
    """The transformer with its caches.

    Args:
        language_model: transformers' decoder with its heads.
        rows: number of sequences that are generated at a time.
    """

    def __init__(self, language_model: Any, rows: int) -> None:
        decoder = language_model.model.decoder
        self.rows = rows
        self.codebooks = int(language_model.num_codebooks)
        self._layers = decoder.layers
        self._norm = decoder.layer_norm
        self._embeddings = decoder.embed_tokens
        self._heads = language_model.lm_heads
        self._positions = decoder.embed_positions
        self._config = language_model.config
        weight = decoder.layer_norm.weight
        self.device, self._dtype = weight.device, weight.dtype
        self._has_cross = hasattr(decoder.layers[0], "encoder_attn")
        self._graphs: StepGraphs | None = None
        self._reset()

    def prefill(self, row: int, conditions: Conditions, tokens: "Tensor") -> "Tensor":
        """Begin a new sequence in a row, with its conditions and first tokens.

        Args:
            row: its index.
            conditions: of the sequence.
            tokens: int64 ``[codebooks, columns]``, at least one column.

        Returns:
            float32 logits ``[2, codebooks, vocabulary]`` for the column after the last.
        """
        import torch

        self._read_text(row, conditions.text)
        hidden = self._embed(tokens[None]).expand(2, -1, -1)
        if conditions.prefix is not None:
            hidden = torch.cat([conditions.prefix.to(hidden.dtype), hidden], dim=1)
        length = hidden.shape[1]
        self._grow_cache(length)
        positions = torch.arange(length, device=self.device).expand(2, -1)
        both = torch.tensor([row, row + self.rows], device=self.device)
        hidden = self._forward(hidden, positions, both, attended=length)
        return self._logits(hidden)

    def step(self, tokens: "Tensor", positions: list[int]) -> "Tensor":
        """Advance all rows by one column.

        Args:
            tokens: int64 ``[rows, codebooks]``, the newest column.
            positions: the position of that column in each row, prefix included; 0 for an idle row.

        Returns:
            float32 logits ``[2, rows, codebooks, vocabulary]`` for the next column, valid until then.
        """
        import torch

        attended = _rounded(max(positions) + 1, ATTENDED_STEP)
        self._grow_cache(attended)
        places = torch.tensor(positions, device=self.device)
        if self.device.type != "cuda":
            return self._step(tokens, places, attended)
        if self._graphs is None:
            self._graphs = StepGraphs(self._step, tokens, places)
        return self._graphs.run(tokens, places, attended)

    def release(self) -> None:
        """Free the caches; every row is reset."""
        self._reset()

    def _reset(self) -> None:
        import torch

        self._cache = self._zeros(2 * self.rows, 0)
        """``[layers, 2 (keys, values), 2 x rows, heads, positions, size]``."""
        self._cross = self._zeros(self.rows, 0)
        """``[layers, 2 (keys, values), rows, heads, tokens, size]``."""
        self._text_mask = torch.zeros((self.rows, 1, 1, 0), dtype=torch.bool, device=self.device)
        self._text_lengths = [0] * self.rows
        self._graphs = None

    def _zeros(self, rows: int, length: int) -> "Tensor":
        import torch

        heads = self._config.num_attention_heads
        shape = (len(self._layers), 2, rows, heads, length, self._config.hidden_size // heads)
        return torch.zeros(shape, device=self.device, dtype=self._dtype)

    def _step(self, tokens: "Tensor", positions: "Tensor", attended: int) -> "Tensor":
        """Compute `step` with all inputs on the device."""
        hidden = self._embed(tokens[..., None]).repeat(2, 1, 1)
        hidden = self._forward(hidden, positions.repeat(2)[:, None], None, attended)
        return self._logits(hidden).view(2, self.rows, self.codebooks, -1)

    def _embed(self, tokens: "Tensor") -> "Tensor":
        """Embed ``[batch, codebooks, columns]`` as ``[batch, columns, hidden]``."""
        embedded: Tensor = sum(table(tokens[:, index]) for index, table in enumerate(self._embeddings))
        return embedded

    def _logits(self, hidden: "Tensor") -> "Tensor":
        """Compute logits ``[batch, codebooks, vocabulary]`` of ``[batch, hidden]``."""
        import torch

        return torch.stack([head(hidden) for head in self._heads], dim=1).float()

    def _forward(
        self, hidden: "Tensor", positions: "Tensor", rows: "Tensor | None", attended: int
    ) -> "Tensor":
        """Run ``[batch, columns, hidden]`` through all layers; returns the last column ``[batch, hidden]``.

        `rows` are the rows in the cache; None for all of them in order.
        """
        import torch

        hidden = hidden + self._position_table()[positions]
        mask = torch.arange(attended, device=self.device) <= positions[..., None]
        place = CacheSlice(rows, positions, mask[:, None])
        for index, layer in enumerate(self._layers):
            inner = layer.self_attn_layer_norm(hidden)
            hidden = hidden + self._attend(self._cache[index], layer.self_attn, inner, place)
            if self._has_cross:
                hidden = self._cross_attend(index, layer, hidden, rows)
            inner = layer.fc1(layer.final_layer_norm(hidden))
            hidden = hidden + layer.fc2(layer.activation_fn(inner))
        last: Tensor = self._norm(hidden[:, -1])
        return last

    def _attend(self, cache: "Tensor", attention: Any, hidden: "Tensor", place: CacheSlice) -> "Tensor":
        """Compute self attention: cache the columns, and attend to the positions up to each."""
        import torch

        batch, columns, _ = hidden.shape
        shape = (batch, columns, attention.num_heads, attention.head_dim)
        query = attention.q_proj(hidden).view(shape).transpose(1, 2)
        keys, values = cache
        rows = torch.arange(batch, device=self.device) if place.rows is None else place.rows
        keys[rows[:, None], :, place.positions] = attention.k_proj(hidden).view(shape)
        values[rows[:, None], :, place.positions] = attention.v_proj(hidden).view(shape)
        attended = place.mask.shape[-1]
        keys, values = keys[:, :, :attended], values[:, :, :attended]
        if place.rows is not None:
            keys, values = keys[rows], values[rows]
        mixed = torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=place.mask)
        output: Tensor = attention.out_proj(mixed.transpose(1, 2).reshape(batch, columns, -1))
        return output

    def _cross_attend(self, index: int, layer: Any, hidden: "Tensor", rows: "Tensor | None") -> "Tensor":
        """Attend to the text; the unconditional half has none, and is unchanged."""
        import torch

        attention = layer.encoder_attn
        half = hidden.shape[0] // 2
        conditional = layer.encoder_attn_layer_norm(hidden[:half])
        shape = (half, -1, attention.num_heads, attention.head_dim)
        query = attention.q_proj(conditional).view(shape).transpose(1, 2)
        keys, values = self._cross[index] if rows is None else self._cross[index][:, rows[:1]]
        mask = self._text_mask if rows is None else self._text_mask[rows[:1]]
        mixed = torch.nn.functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        hidden[:half] += attention.out_proj(mixed.transpose(1, 2).reshape(half, hidden.shape[1], -1))
        return hidden

    def _read_text(self, row: int, text: "Tensor | None") -> None:
        """Cache the keys and values of a row's text; None becomes one token of zeros, which adds nothing."""
        import torch

        if not self._has_cross:
            return
        if text is None:
            text = torch.zeros(1, self._config.hidden_size, device=self.device, dtype=self._dtype)
        self._text_lengths[row] = len(text)
        self._fit_text()
        self._cross[:, :, row] = 0
        for index, layer in enumerate(self._layers):
            attention = layer.encoder_attn
            shape = (len(text), attention.num_heads, attention.head_dim)
            for kind, projection in enumerate((attention.k_proj, attention.v_proj)):
                projected = projection(text).view(shape).transpose(0, 1)
                self._cross[index, kind, row, :, : len(text)] = projected
        width = torch.arange(self._cross.shape[4], device=self.device)
        lengths = torch.tensor(self._text_lengths, device=self.device).clamp(min=1)
        self._text_mask.copy_((width < lengths[:, None])[:, None, None])

    def _fit_text(self) -> None:
        import torch

        self._cross = self._grown(self._cross, _rounded(max(self._text_lengths), TEXT_STEP))
        width = self._cross.shape[4]
        if self._text_mask.shape[3] < width:
            self._text_mask = self._cross.new_zeros((self.rows, 1, 1, width), dtype=torch.bool)

    def _grow_cache(self, length: int) -> None:
        self._cache = self._grown(self._cache, _rounded(length, CACHE_STEP))

    def _grown(self, cache: "Tensor", length: int) -> "Tensor":
        """Return the cache if it is long enough, or a longer one with the same content."""
        if cache.shape[4] >= length:
            return cache
        longer = self._zeros(cache.shape[2], length)
        longer[:, :, :, :, : cache.shape[4]] = cache
        if self._graphs:
            self._graphs.forget()  # they refer to the shorter cache
        return longer

    def _position_table(self) -> "Tensor":
        """Return the sinusoids ``[positions, hidden]`` of all positions of the cache."""
        table: Tensor = self._positions.weights
        length = self._cache.shape[4]
        if len(table) < length:
            self._positions.make_weights(length, self._positions.embedding_dim)
            table = self._positions.weights
        return table


def _rounded(length: int, step: int) -> int:
    """Round up to a multiple of ``step``."""
    return -(-length // step) * step
