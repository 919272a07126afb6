"""Whisper's network over rows that come and go: each row is one window of 30 s at a position of its own.

`whisper.decode` takes a batch too, but one whose rows have the same initial tokens and temperature, start
together, and wait for the longest. Here a row joins behind the others, moves into a gap when one leaves, and
may start anew with what the encoder made of it. The arithmetic is that of `whisper.model`, with its modules
and weights; the caches of keys and values are written in place.
"""

from collections.abc import Callable, Sequence
from typing import Any


class Decoder:
    """The rows of one model; to be used in `torch.inference_mode` and by one thread.

    Args:
        model: a `whisper.model.Whisper`, in half precision or not.
    """

    def __init__(self, model: Any) -> None:
        self.rows = 0
        """How many there are, numbered from 0; the last one takes the number of one that leaves."""
        self._model = model
        self._blocks = model.decoder.blocks
        self._heads = model.dims.n_text_head
        self._caches: list[tuple[Any, ...]] = []  # by block: own keys and values, then those of the audio
        self._room = 0

    def encode(self, mel: Any, check: Callable[[], None]) -> Any:
        """What the encoder makes of ``[rows, bands, 3000]``: ``[rows, 1500, state]``.

        Args:
            mel: spectrograms, float32.
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
        return encoder.ln_post(x)

    def join(self, features: Any) -> range:
        """Add a row for each of ``[rows, 1500, state]``; the numbers of the new rows."""
        new = range(self.rows, self.rows + len(features))
        self._reserve(new.stop)
        self.rows = new.stop
        for block, (_, _, keys, values) in zip(self._blocks, self._caches, strict=True):
            keys[new.start : new.stop] = self._split(block.cross_attn.key(features)).transpose(1, 2)
            values[new.start : new.stop] = self._split(block.cross_attn.value(features)).transpose(1, 2)
        return new

    def leave(self, row: int) -> None:
        """Take a row out; the last one has its number from now on."""
        self.rows -= 1
        for cache in self._caches:
            for store in cache:
                store[row] = store[self.rows]

    def start(self, rows: range, tokens: Sequence[Sequence[int]], at: int = 0) -> tuple[Any, Any]:
        """Let neighbouring rows begin, or begin anew.

        Args:
            rows: their numbers.
            tokens: as many for each row.
            at: position of the start-of-transcript token.

        Returns:
            Logits ``[rows, vocabulary]`` behind that token, and behind the last one.
        """
        import torch

        ids = torch.tensor(tokens, device=self._model.device)
        positions = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
        hidden = self._forward(rows, ids, positions, ids.shape[1])
        return self._logits(hidden[:, at]), self._logits(hidden[:, -1])

    def step(self, tokens: Sequence[int], positions: Sequence[int]) -> Any:
        """One token further in every row: logits ``[rows, vocabulary]`` behind it.

        Args:
            tokens: the last one of each row.
            positions: where in its row each of them stands.
        """
        import torch

        ids, places = torch.tensor([tokens, positions], device=self._model.device)[..., None]
        return self._logits(self._forward(range(self.rows), ids, places, max(positions) + 1)[:, 0])

    def _forward(self, rows: range, ids: Any, positions: Any, length: int) -> Any:
        """Hidden states ``[rows, tokens, state]`` of tokens at these positions, all below ``length``."""
        import torch

        decoder = self._model.decoder
        x = decoder.token_embedding(ids) + decoder.positional_embedding[positions]
        x = x.to(decoder.token_embedding.weight.dtype)
        seen = torch.arange(length, device=ids.device) <= positions[..., None]  # [rows, tokens, length]
        for block, cache in zip(self._blocks, self._caches, strict=True):
            own_keys, own_values, keys, values = (store[rows.start : rows.stop] for store in cache)
            y = block.attn_ln(x)
            _write(own_keys, positions, self._split(block.attn.key(y)))
            _write(own_values, positions, self._split(block.attn.value(y)))
            own = own_keys[:, :, :length], own_values[:, :, :length]
            x = x + self._attend(block.attn, y, *own, mask=seen[:, None])
            x = x + self._attend(block.cross_attn, block.cross_attn_ln(x), keys, values)
            x = x + block.mlp(block.mlp_ln(x))
        return decoder.ln(x)

    def _attend(self, attention: Any, x: Any, keys: Any, values: Any, mask: Any = None) -> Any:
        from torch.nn import functional

        queries = self._split(attention.query(x)).transpose(1, 2)
        found = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return attention.out(found.transpose(1, 2).flatten(2))

    def _split(self, x: Any) -> Any:
        """``[rows, tokens, state]`` as ``[rows, tokens, heads, state / heads]``."""
        return x.unflatten(-1, (self._heads, -1))

    def _logits(self, hidden: Any) -> Any:
        """Float32 ``[rows, vocabulary]``; multiplied this way round a CPU reads the weights twice as fast."""
        return (self._model.decoder.token_embedding.weight @ hidden.T).T.float().contiguous()

    def _reserve(self, rows: int) -> None:
        if rows <= self._room:
            return
        self._room = max(rows, 2 * self._room)
        self._caches = [
            tuple(
                self._grown(cache[n] if cache else None, length) for n, length in enumerate(self._lengths())
            )
            for cache in self._caches or [()] * len(self._blocks)
        ]

    def _lengths(self) -> tuple[int, int, int, int]:
        own, audio = self._model.dims.n_text_ctx, self._model.dims.n_audio_ctx
        return own, own, audio, audio

    def _grown(self, store: Any, length: int) -> Any:
        like = self._model.decoder.token_embedding.weight
        size = self._model.dims.n_text_state // self._heads
        # Not empty: what is masked counts nothing, but for NaN, which is NaN times nothing as well.
        grown = like.new_zeros(self._room, self._heads, length, size)
        if store is not None:
            grown[: self.rows] = store[: self.rows]
        return grown


def _write(store: Any, positions: Any, new: Any) -> None:
    """Put ``[rows, tokens, heads, size]`` at these positions of ``[rows, heads, length, size]``."""
    import torch

    rows = torch.arange(len(positions), device=positions.device)[:, None]
    store.transpose(1, 2)[rows, positions] = new
