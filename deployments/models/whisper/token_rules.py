"""Selects the next token of many texts at a time, by the rules of `whisper.decoding`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whisper.tokenizer import Tokenizer

MAX_TOKENS = 224
"""Maximum number of tokens per window: half of the context, as `whisper.decode` limits it by default."""

MAX_INITIAL_TIMESTAMP_INDEX = 50
"""Index of the last timestamp that a text may begin with: one second, as in `whisper.DecodingOptions`."""


@dataclass(slots=True)
class Decoded:
    """Tokens of one window so far, at one temperature, with the measures of `whisper.DecodingResult`."""

    temperature: float = 0.0
    generator: "torch.Generator | None" = None
    """Source of its random numbers, of its own so that the batch does not matter; None at temperature 0."""
    no_speech_prob: float = 0.0
    tokens: list[int] = field(default_factory=list)
    sum_logprobs: float = 0.0
    """Sum over its tokens, and the end token."""
    compression_ratio: float = 0.0
    """Size of the text over its size compressed by zlib; high if the text repeats itself."""

    @property
    def avg_logprob(self) -> float:
        """Log probability per token; the end token counts, as in `whisper.decoding`."""
        return self.sum_logprobs / (len(self.tokens) + 1)


class TokenRules:
    """`ApplyTimestampRules` and `SuppressTokens` of `whisper.decoding`, for a multilingual tokenizer.

    Timestamps come in pairs, do not decrease, and begin within a second. A timestamp is selected if all
    timestamps together are more probable than the most probable text token.
    """

    def __init__(self, tokenizer: "Tokenizer", device: "torch.device") -> None:
        import torch

        self._end = tokenizer.eot
        self._timestamp_begin = tokenizer.timestamp_begin
        self._no_speech = tokenizer.no_speech
        suppressed = {
            *tokenizer.non_speech_tokens,
            tokenizer.transcribe,
            tokenizer.translate,
            tokenizer.sot,
            tokenizer.sot_prev,
            tokenizer.sot_lm,
            tokenizer.no_speech,
            tokenizer.no_timestamps,
        }
        self._suppressed = torch.tensor(sorted(suppressed), device=device)

    def no_speech_probs(self, logits: "Tensor") -> list[float]:
        """Return the probabilities of no speech.

        Args:
            logits: ``[rows, vocabulary]`` after the start-of-transcript token.
        """
        probs: list[float] = logits.softmax(-1)[:, self._no_speech].tolist()
        return probs

    def extend(self, texts: Sequence[Decoded], logits: "Tensor") -> list[bool]:
        """Append the next token to each text.

        Args:
            texts: one per row.
            logits: ``[rows, vocabulary]`` of the next tokens; overwritten.

        Returns:
            Whether each text is complete. The end token is not appended.
        """
        self._suppress(texts, logits)
        logprobs = logits.log_softmax(-1)
        tokens = _sampling_scores(texts, logits).argmax(-1)
        token_logprobs = logprobs.gather(1, tokens[:, None])[:, 0].tolist()
        return [
            self._append(text, token, logprob)
            for text, token, logprob in zip(texts, tokens.tolist(), token_logprobs, strict=True)
        ]

    def _append(self, text: Decoded, token: int, logprob: float) -> bool:
        """Append a token unless it is the end token, and return whether the text is complete."""
        text.sum_logprobs += logprob
        if token == self._end:
            return True
        text.tokens.append(token)
        return len(text.tokens) == MAX_TOKENS

    def _suppress(self, texts: Sequence[Decoded], logits: "Tensor") -> None:
        """Set the logits of tokens that must not follow to minus infinity."""
        import torch

        inf = float("inf")
        bounds = torch.tensor([self._bounds(text.tokens) for text in texts], device=logits.device)
        min_word, min_timestamp, max_timestamp = bounds.T[..., None]
        logits.index_fill_(1, self._suppressed, -inf)
        ids = torch.arange(logits.shape[1], device=logits.device)
        word_ids, timestamp_ids = ids[: self._timestamp_begin], ids[self._timestamp_begin :]
        words, timestamps = logits[:, : self._timestamp_begin], logits[:, self._timestamp_begin :]
        words.masked_fill_(word_ids < min_word, -inf)
        timestamps.masked_fill_((timestamp_ids < min_timestamp) | (timestamp_ids > max_timestamp), -inf)
        words.masked_fill_((timestamps.logsumexp(-1) > words.amax(-1))[:, None], -inf)

    def _bounds(self, tokens: Sequence[int]) -> tuple[int, int, int]:
        """Return the first token allowed before the timestamps, and the first and last timestamp allowed."""
        begin = self._timestamp_begin
        beyond = begin + 100_000  # greater than every token of the vocabulary
        if not tokens:
            return begin, begin, begin + MAX_INITIAL_TIMESTAMP_INDEX
        last_was_timestamp = tokens[-1] >= begin
        if last_was_timestamp and (len(tokens) < 2 or tokens[-2] >= begin):
            return 0, beyond, beyond  # a pair is complete: words
        last = next((token for token in reversed(tokens) if token >= begin), begin - 1)
        if last_was_timestamp:
            return self._end, last, beyond  # the second timestamp of a pair, or the end
        return 0, last + 1, beyond


def _sampling_scores(texts: Sequence[Decoded], logits: "Tensor") -> "Tensor":
    """Return scores whose maximum is a sample at each text's temperature (the Gumbel-max trick)."""
    import torch

    if not any(text.temperature for text in texts):
        return logits
    scores = logits.clone()
    for row, text in zip(scores, texts, strict=True):
        if text.temperature:
            noise = torch.empty_like(row).exponential_(generator=text.generator)
            row.div_(text.temperature).sub_(noise.log_())
    return scores
