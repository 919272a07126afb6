"""Which token may follow, and which one does: Whisper's rules, for many rows at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_TOKENS = 224
"""The most that Whisper decodes per window: half of its context."""

LATEST_BEGINNING = 50
"""The latest first timestamp, in steps of 20 ms: one second, as `whisper.DecodingOptions` has it."""


@dataclass(slots=True)
class Text:
    """What one row has decoded so far, at one temperature."""

    temperature: float = 0.0
    generator: Any = None
    """Where its chances come from, so that they are the same in any company; None at temperature 0."""
    no_speech_prob: float = 0.0
    tokens: list[int] = field(default_factory=list)
    logprob: float = 0.0
    """Sum over its tokens and the one that ended it."""
    compression_ratio: float = 0.0
    """How much shorter zlib makes it; a text that repeats itself has much."""

    @property
    def avg_logprob(self) -> float:
        """Per token, as Whisper counts."""
        return self.logprob / (len(self.tokens) + 1)


class TokenRules:
    """The rules of `whisper.decoding.ApplyTimestampRules` and `SuppressTokens` for a multilingual tokenizer.

    Timestamps stand in pairs, do not decrease, begin within a second, and are taken where they are together
    more probable than any text.
    """

    def __init__(self, tokenizer: Any, device: Any) -> None:
        import torch

        self.end = tokenizer.eot
        self._times_from = tokenizer.timestamp_begin
        self._no_speech = tokenizer.no_speech
        never = {
            *tokenizer.non_speech_tokens,
            tokenizer.transcribe,
            tokenizer.translate,
            tokenizer.sot,
            tokenizer.sot_prev,
            tokenizer.sot_lm,
            tokenizer.no_speech,
            tokenizer.no_timestamps,
        }
        self._never = torch.tensor(sorted(never), device=device)

    def no_speech_probs(self, logits: Any) -> list[float]:
        """That there is no speech, from the logits ``[rows, vocabulary]`` behind start-of-transcript."""
        probs: list[float] = logits.softmax(-1)[:, self._no_speech].tolist()
        return probs

    def extend(self, texts: Sequence[Text], logits: Any) -> list[bool]:
        """Append the next token to each text, given its logits ``[rows, vocabulary]``, which it overwrites.

        Returns:
            Whether the text is complete; the token that says so is not appended.
        """
        self._forbid(texts, logits)
        logprobs = logits.log_softmax(-1)
        chosen = _with_chance(texts, logits).argmax(-1)
        gained = logprobs.gather(1, chosen[:, None])[:, 0].tolist()
        return [
            self._append(text, token, logprob)
            for text, token, logprob in zip(texts, chosen.tolist(), gained, strict=True)
        ]

    def _append(self, text: Text, token: int, logprob: float) -> bool:
        text.logprob += logprob
        if token == self.end:
            return True
        text.tokens.append(token)
        return len(text.tokens) == MAX_TOKENS

    def _forbid(self, texts: Sequence[Text], logits: Any) -> None:
        """Make what may not follow impossible."""
        import torch

        inf = float("inf")
        bounds = torch.tensor([self._bounds(text.tokens) for text in texts], device=logits.device)
        words_from, earliest, latest = bounds.T[..., None]
        logits.index_fill_(1, self._never, -inf)
        ids = torch.arange(logits.shape[1], device=logits.device)
        word_ids, time_ids = ids[: self._times_from], ids[self._times_from :]
        words, times = logits[:, : self._times_from], logits[:, self._times_from :]
        words.masked_fill_(word_ids < words_from, -inf)
        times.masked_fill_((time_ids < earliest) | (time_ids > latest), -inf)
        words.masked_fill_((times.logsumexp(-1) > words.amax(-1))[:, None], -inf)

    def _bounds(self, tokens: Sequence[int]) -> tuple[int, int, int]:
        """The first token allowed that is no timestamp, the first timestamp allowed, and the last one."""
        begin, beyond = self._times_from, self._times_from + 100_000
        if not tokens:
            return begin, begin, begin + LATEST_BEGINNING
        stamped = tokens[-1] >= begin
        if stamped and (len(tokens) < 2 or tokens[-2] >= begin):
            return 0, beyond, beyond  # a pair is complete: words
        last = next((token for token in reversed(tokens) if token >= begin), begin - 1)
        if stamped:
            return self.end, last, beyond  # a second timestamp, or the end
        return 0, last + 1, beyond


def _with_chance(texts: Sequence[Text], logits: Any) -> Any:
    """Logits of which the greatest is a draw at its text's temperature (the Gumbel-max trick)."""
    import torch

    if not any(text.temperature for text in texts):
        return logits
    scored = logits.clone()
    for row, text in zip(scored, texts, strict=True):
        if text.temperature:
            noise = torch.empty_like(row).exponential_(generator=text.generator)
            row.div_(text.temperature).sub_(noise.log_())
    return scored
