"""Splits the tokens of a window into segments and words with their times, as `whisper.transcribe` does."""

import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from deployments.models.whisper.token_rules import Decoded
from deployments.models.whisper.windows import FRAMES_PER_SECOND, Window

if TYPE_CHECKING:
    from torch import Tensor

    from whisper import Whisper as Network
    from whisper.tokenizer import Tokenizer

TIME_PRECISION = 0.02
"""Seconds from one timestamp token to the next; `whisper.transcribe` has the same name."""
INPUT_STRIDE = 2
"""Frames of the spectrogram from one timestamp token to the next; `whisper.transcribe` has the same name."""

_aligning = threading.Lock()
"""Held to align words: whisper switches the attention of every model in the process meanwhile."""


class RawWord(TypedDict):
    """A word as `whisper.timing` represents it."""

    word: str
    start: float
    """Seconds of the recording."""
    end: float
    probability: float


class RawSegment(TypedDict):
    """A segment as `whisper.transcribe` represents it."""

    seek: int
    """First frame of its window."""
    start: float
    """Seconds of the recording."""
    end: float
    text: str
    tokens: Sequence[int]
    """Tokens of the text, and timestamps."""
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    words: NotRequired[list[RawWord]]


def split_segments(decoded: Decoded, window: Window, tokenizer: "Tokenizer") -> tuple[list[RawSegment], int]:
    """Split the text of a window into segments at pairs of timestamps.

    Returns:
        The segments, and the frame of the recording up to which they reach. A segment without an end is left
        out: the end of the window cut it off, or the maximum number of tokens. It is decoded again, in
        another window that begins at this frame.
    """
    is_timestamp = [token >= tokenizer.timestamp_begin for token in decoded.tokens]
    ends = [n + 1 for n, pair in enumerate(pairwise(is_timestamp)) if all(pair)]
    if not ends:
        return [_whole_window(decoded, window, tokenizer)], window.end
    is_closed = is_timestamp[-2:] == [False, True]
    if is_closed:
        ends.append(len(is_timestamp))
    segments = []
    for first, last in pairwise([0, *ends]):
        tokens = decoded.tokens[first:last]
        start, end = (
            window.offset + _timestamp_index(token, tokenizer) * TIME_PRECISION
            for token in (tokens[0], tokens[-1])
        )
        segments.append(_segment(decoded, window, tokenizer, tokens=tokens, start=start, end=end))
    if is_closed:
        return segments, window.end
    return segments, window.start + _timestamp_index(decoded.tokens[ends[-1] - 1], tokenizer) * INPUT_STRIDE


def add_words(
    segments: list[RawSegment], model: "Network", tokenizer: "Tokenizer", features: "Tensor", window: Window
) -> None:
    """Add a list of words to each segment, and move its start and end to those of its words.

    Args:
        segments: of one window.
        model: with its alignment heads.
        tokenizer: for the language and task of the window.
        features: audio features of the window, ``[1500, state]``.
        window: of the recording.
    """
    from whisper.timing import add_word_timestamps

    with _aligning:
        add_word_timestamps(
            segments=segments,
            model=_DecoderOnly(model),
            tokenizer=tokenizer,
            mel=features,
            num_frames=window.frames,
            last_speech_timestamp=window.last_speech_end / FRAMES_PER_SECOND,
        )


class _DecoderOnly:
    """A Whisper model for `whisper.timing` that takes audio features instead of a spectrogram."""

    def __init__(self, model: "Network") -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, features: "Tensor", tokens: "Tensor") -> "Tensor":
        logits: Tensor = self._model.decoder(tokens, features)
        return logits


def _whole_window(decoded: Decoded, window: Window, tokenizer: "Tokenizer") -> RawSegment:
    """Return the whole text as one segment, which ends at its last timestamp if it has one."""
    end = window.end / FRAMES_PER_SECOND
    last = next((token for token in reversed(decoded.tokens) if token > tokenizer.timestamp_begin), None)
    if last is not None:
        end = window.offset + _timestamp_index(last, tokenizer) * TIME_PRECISION
    return _segment(decoded, window, tokenizer, tokens=decoded.tokens, start=window.offset, end=end)


def _segment(
    decoded: Decoded,
    window: Window,
    tokenizer: "Tokenizer",
    *,
    tokens: Sequence[int],
    start: float,
    end: float,
) -> RawSegment:
    return {
        "seek": window.start,
        "start": start,
        "end": end,
        "text": tokenizer.decode([token for token in tokens if token < tokenizer.eot]),
        "tokens": tokens,
        "temperature": decoded.temperature,
        "avg_logprob": decoded.avg_logprob,
        "compression_ratio": decoded.compression_ratio,
        "no_speech_prob": decoded.no_speech_prob,
    }


def _timestamp_index(token: int, tokenizer: "Tokenizer") -> int:
    return token - int(tokenizer.timestamp_begin)
