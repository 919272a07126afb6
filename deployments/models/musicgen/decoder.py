"""MusicGen's transformer over a fixed number of rows, each at its own position.

The weights are transformers' (`MusicgenForCausalLM`, `MusicgenMelodyForCausalLM`); the pass through them is
written here, since theirs has one position for the whole batch. Every step has the same rows, whoever shares
it, and looks back over a multiple of 64 positions, of which the masked ones add exact zeros: so a row's
numbers do not depend on its neighbours.

Each row is computed twice, with its conditions and without, for classifier-free guidance: the first half of
a tensor is conditional, the second unconditional. What describes the music comes in by cross attention
(MusicGen, Copet et al. 2023, section 2.2) or as a prefix of the sequence (its melody variants).
"""

from dataclasses import dataclass
from typing import Any

from deployments.models.musicgen.cuda_graphs import StepGraphs

ATTENDED_STEP = 64
"""Attention looks at a multiple of so many positions: short music does not pay for long music's cache."""
CACHE_STEP = 512
"""The cache grows by so many positions."""
TEXT_STEP = 32
"""And by so many tokens of text."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What a row's music shall be like, as hidden states; at least one frame of either, or nothing.

    `text` is ``[tokens, hidden]`` for cross attention; `prefix` is ``[2, frames, hidden]``, with the
    conditions and without.
    """

    text: Any = None
    prefix: Any = None

    @property
    def prefix_frames(self) -> int:
        """How many positions come before the first token."""
        return 0 if self.prefix is None else int(self.prefix.shape[1])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a batch of columns stands in the cache."""

    rows: Any
    """int64 ``[batch]``, or None for all rows in order."""
    positions: Any
    """int64 ``[batch, columns]``."""
    mask: Any
    """bool ``[batch, 1, columns, attended]``: what each column looks at."""


class Decoder:
    """The transformer with its caches.

    Args:
        language_model: transformers' decoder with its heads.
        rows: how many pieces of music are made at a time.
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
        self._cache: Any = None  # [layers, 2 (keys, values), 2 x rows, heads, positions, size]
        self._cross: Any = None  # [layers, 2 (keys, values), rows, heads, tokens, size]
        self._text_mask: Any = None  # bool [rows, 1, 1, tokens]
        self._text_lengths = [0] * rows
        self._graphs: StepGraphs | None = None

    def begin(self, row: int, conditions: Conditions, tokens: Any) -> Any:
        """Start a row: forget what it was, and read its conditions and its first tokens.

        Args:
            row: its index.
            conditions: of its music.
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

    def step(self, tokens: Any, positions: list[int]) -> Any:
        """One column further, for all rows at once.

        Args:
            tokens: int64 ``[rows, codebooks]``, the newest column.
            positions: where that column stands in each row, prefix included; 0 for an idle one.

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
        """Give the caches' memory back; every row is forgotten."""
        self._cache = self._cross = self._text_mask = self._graphs = None
        self._text_lengths = [0] * self.rows

    def _step(self, tokens: Any, positions: Any, attended: int) -> Any:
        """`step` with all of its input on the device."""
        hidden = self._embed(tokens[..., None]).repeat(2, 1, 1)
        hidden = self._forward(hidden, positions.repeat(2)[:, None], None, attended)
        return self._logits(hidden).view(2, self.rows, self.codebooks, -1)

    def _embed(self, tokens: Any) -> Any:
        """``[batch, codebooks, columns]`` to ``[batch, columns, hidden]``."""
        return sum(table(tokens[:, index]) for index, table in enumerate(self._embeddings))

    def _logits(self, hidden: Any) -> Any:
        """``[batch, hidden]`` to ``[batch, codebooks, vocabulary]``."""
        import torch

        return torch.stack([head(hidden) for head in self._heads], dim=1).float()

    def _forward(self, hidden: Any, positions: Any, rows: Any, attended: int) -> Any:
        """Run ``[batch, columns, hidden]`` through all layers; the last column of each comes back.

        `rows` are the places in the cache; None for all of them in order.
        """
        import torch

        hidden = hidden + self._position_table()[positions]
        mask = torch.arange(attended, device=self.device) <= positions[..., None]
        place = Place(rows, positions, mask[:, None])
        for index, layer in enumerate(self._layers):
            inner = layer.self_attn_layer_norm(hidden)
            hidden = hidden + self._attend(self._cache[index], layer.self_attn, inner, place)
            if self._has_cross:
                hidden = self._cross_attend(index, layer, hidden, rows)
            inner = layer.fc1(layer.final_layer_norm(hidden))
            hidden = hidden + layer.fc2(layer.activation_fn(inner))
        return self._norm(hidden[:, -1])

    def _attend(self, cache: Any, attention: Any, hidden: Any, place: Place) -> Any:
        """Self attention: write the columns into the cache, and look at everything up to them."""
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
        return attention.out_proj(mixed.transpose(1, 2).reshape(batch, columns, -1))

    def _cross_attend(self, index: int, layer: Any, hidden: Any, rows: Any) -> Any:
        """Look at the text. Without conditions there is nothing to see: that half stays as it is."""
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

    def _read_text(self, row: int, text: Any) -> None:
        """Keep the keys and values of a row's text. None reads as one token of zeros, which says nothing."""
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

        self._cross = self._grown(self._cross, self.rows, _rounded(max(self._text_lengths), TEXT_STEP))
        width = self._cross.shape[4]
        if self._text_mask is None or self._text_mask.shape[3] < width:
            self._text_mask = self._cross.new_zeros((self.rows, 1, 1, width), dtype=torch.bool)

    def _grow_cache(self, length: int) -> None:
        self._cache = self._grown(self._cache, 2 * self.rows, _rounded(length, CACHE_STEP))

    def _grown(self, cache: Any, rows: int, length: int) -> Any:
        """The cache if it is long enough, else a longer one with the same content."""
        import torch

        if cache is not None and cache.shape[4] >= length:
            return cache
        heads = self._config.num_attention_heads
        shape = (len(self._layers), 2, rows, heads, length, self._config.hidden_size // heads)
        longer = torch.zeros(shape, device=self.device, dtype=self._dtype)
        if cache is not None:
            longer[:, :, :, :, : cache.shape[4]] = cache
        if self._graphs:
            self._graphs.forget()  # they look at the shorter one
        return longer

    def _position_table(self) -> Any:
        """Sinusoids ``[positions, hidden]``, as many as the cache has."""
        table, length = self._positions.weights, self._cache.shape[4]
        if len(table) < length:
            self._positions.make_weights(length, self._positions.embedding_dim)
            table = self._positions.weights
        return table


def _rounded(length: int, step: int) -> int:
    return -(-length // step) * step
