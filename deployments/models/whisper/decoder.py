"""Whisper's network with rows that join and leave: each row is one window of 30 s, at its own position.

`whisper.decode` takes a batch as well, but its rows have the same initial tokens and temperature, begin
together, and wait for the longest row. Here a row joins behind the others, moves into a gap when another
one leaves, and may begin again without being encoded again. Modules, weights and arithmetic are those of
`whisper.model`; the caches of keys and values are written in place.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from deployments.models.whisper.precision import logits

if TYPE_CHECKING:
    from torch import Tensor

    import whisper
    from whisper import Whisper as Network

Caches = tuple["Tensor", "Tensor", "Tensor", "Tensor"]
"""Keys and values of self attention, then of cross attention: ``[rows, heads, positions, size]``."""


class Decoder:
    """Encoder and decoder of one model; use it in `torch.inference_mode` and from one thread.

    Args:
        model: in half precision or not.
    """

    def __init__(self, model: "Network") -> None:
        self.rows = 0
        """Number of rows. They are numbered from 0; the last row takes the number of one that leaves."""
        self._model = model
        self._blocks = model.decoder.blocks
        self._heads: int = model.dims.n_text_head
        self._caches: list[Caches] = []  # by block
        self._capacity = 0

    def encode(self, mel: "Tensor", check: Callable[[], None]) -> "Tensor":
        """Return audio features ``[rows, 1500, state]``.

        Args:
            mel: spectrograms, float32 ``[rows, bands, 3000]``.
            check: called before every layer; may raise.
        """
        from torch.nn import functional

        encoder = self._model.encoder
        x = mel.to(encoder.conv1.weight.dtype)
        x = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(x)))).permute(0, 2, 1)
        x = (x + encoder.positional_embedding).to(x.dtype)
        for block in encoder.blocks:
            check()
            x = block(x)
        features: Tensor = encoder.ln_post(x)
        return features

    def join(self, features: "Tensor") -> range:
        """Add a row for each window, and return the numbers of the new rows.

        Args:
            features: of the audio, ``[rows, 1500, state]``.
        """
        new = range(self.rows, self.rows + len(features))
        self._reserve(new.stop)
        self.rows = new.stop
        for block, (_, _, keys, values) in zip(self._blocks, self._caches, strict=True):
            keys[new.start : new.stop] = self._split(block.cross_attn.key(features)).transpose(1, 2)
            values[new.start : new.stop] = self._split(block.cross_attn.value(features)).transpose(1, 2)
        return new

    def leave(self, row: int) -> None:
        """Remove a row; the last row takes its number."""
        self.rows -= 1
        for caches in self._caches:
            for cache in caches:
                cache[row] = cache[self.rows]

    def prefill(
        self, rows: range, tokens: Sequence[Sequence[int]], sot_index: int = 0
    ) -> "tuple[Tensor, Tensor]":
        """Decode the initial tokens of neighboring rows, which begin or begin again.

        Args:
            rows: their numbers.
            tokens: the initial tokens of each row; equally many for all.
            sot_index: position of the start-of-transcript token.

        Returns:
            Logits ``[rows, vocabulary]`` after that token, and after the last one.
        """
        import torch

        ids = torch.tensor(tokens, device=self._model.device)
        positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        hidden = self._forward(rows, ids, positions, ids.shape[1])
        return self._logits(hidden[:, sot_index]), self._logits(hidden[:, -1])

    def step(self, tokens: Sequence[int], positions: Sequence[int]) -> "Tensor":
        """Append one token to every row, and return the logits ``[rows, vocabulary]`` after it.

        Args:
            tokens: the last token of each row.
            positions: of these tokens in their rows.
        """
        import torch

        # One tensor for both, so that a step copies to the GPU only once.
        ids, columns = torch.tensor([tokens, positions], device=self._model.device)[..., None]
        return self._logits(self._forward(range(self.rows), ids, columns, max(positions) + 1)[:, 0])

    def _forward(self, rows: range, ids: "Tensor", positions: "Tensor", length: int) -> "Tensor":
        """Return the hidden states ``[rows, tokens, state]`` of tokens.

        Args:
            rows: their numbers.
            ids: of the tokens, ``[rows, tokens]``.
            positions: of the tokens, ``[rows, tokens]``.
            length: number of positions to attend to; greater than all positions.
        """
        import torch

        decoder = self._model.decoder
        x = decoder.token_embedding(ids) + decoder.positional_embedding[positions]
        x = x.to(decoder.token_embedding.weight.dtype)
        mask = torch.arange(length, device=ids.device) <= positions[..., None]  # [rows, tokens, length]
        for block, caches in zip(self._blocks, self._caches, strict=True):
            own_keys, own_values, keys, values = (cache[rows.start : rows.stop] for cache in caches)
            y = block.attn_ln(x)
            _write(own_keys, positions, self._split(block.attn.key(y)))
            _write(own_values, positions, self._split(block.attn.value(y)))
            own = own_keys[:, :, :length], own_values[:, :, :length]
            x = x + self._attend(block.attn, y, *own, mask=mask[:, None])
            x = x + self._attend(block.cross_attn, block.cross_attn_ln(x), keys, values)
            x = x + block.mlp(block.mlp_ln(x))
        hidden: Tensor = decoder.ln(x)
        return hidden

    def _attend(
        self,
        attention: "whisper.model.MultiHeadAttention",
        x: "Tensor",
        keys: "Tensor",
        values: "Tensor",
        mask: "Tensor | None" = None,
    ) -> "Tensor":
        """Return the output ``[rows, tokens, state]`` of an attention over cached keys and values.

        Args:
            attention: of the model.
            x: its input, ``[rows, tokens, state]``.
            keys: ``[rows, heads, length, size]``.
            values: of the same shape.
            mask: true where a token attends to a position, ``[rows, 1, tokens, length]``; absent: everywhere.
        """
        from torch.nn import functional

        queries = self._split(attention.query(x)).transpose(1, 2)
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        output: Tensor = attention.out(mixed.transpose(1, 2).flatten(2))
        return output

    def _split(self, x: "Tensor") -> "Tensor":
        """Reshape ``[rows, tokens, state]`` to ``[rows, tokens, heads, state / heads]``."""
        return x.view(*x.shape[:-1], self._heads, -1)

    def _logits(self, hidden: "Tensor") -> "Tensor":
        return logits(self._model, hidden)

    def _reserve(self, rows: int) -> None:
        """Grow the caches to hold this many rows; their size at least doubles, so that growth is rare."""
        if rows <= self._capacity:
            return
        self._capacity = max(rows, 2 * self._capacity)
        old: Sequence[Caches | None] = self._caches or [None] * len(self._blocks)
        self._caches = [self._grown(caches) for caches in old]

    def _grown(self, caches: Caches | None) -> Caches:
        """Return the caches of a block with the new capacity and the content of the old ones, if any."""
        text, audio = self._model.dims.n_text_ctx, self._model.dims.n_audio_ctx
        grown = self._zeros(text), self._zeros(text), self._zeros(audio), self._zeros(audio)
        if caches is not None:
            for new, old in zip(grown, caches, strict=True):
                new[: self.rows] = old[: self.rows]
        return grown

    def _zeros(self, length: int) -> "Tensor":
        # Not `new_empty`: attention multiplies masked positions by zero, and NaN times zero is NaN.
        like: Tensor = self._model.decoder.token_embedding.weight
        size = self._model.dims.n_text_state // self._heads
        return like.new_zeros(self._capacity, self._heads, length, size)


def _write(cache: "Tensor", positions: "Tensor", new: "Tensor") -> None:
    """Write ``[rows, tokens, heads, size]`` at these positions of ``[rows, heads, length, size]``."""
    import torch

    rows = torch.arange(len(positions), device=positions.device)[:, None]
    cache.transpose(1, 2)[rows, positions] = new
