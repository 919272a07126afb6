"""From a window's tokens to sentences and words with their times, as `whisper.transcribe` makes them."""

import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from deployments.models.whisper.token_rules import Text
from deployments.models.whisper.windows import FRAMES_PER_SECOND, Window

STEP_SECONDS = 0.02
FRAMES_PER_STEP = 2

Part = dict[str, Any]
"""A sentence as whisper has it: start and end in seconds of the recording, text, tokens, probabilities."""

_aligning = threading.Lock()
"""Whisper switches its attention to another implementation meanwhile, for every model of the process."""


def parts_of(text: Text, window: Window, tokenizer: Any) -> tuple[list[Part], int]:
    """Sentences of one window, and the frame of the recording up to which they heard it.

    A sentence that begins and does not end is left out: it was cut off by the window, or by the most tokens
    there may be. It is to be heard again, in what is left of the window.
    """
    stamps = [token >= tokenizer.timestamp_begin for token in text.tokens]
    ends = [n + 1 for n, pair in enumerate(pairwise(stamps)) if all(pair)]
    if not ends:
        return [_whole(text, window, tokenizer)], window.end
    closed = stamps[-2:] == [False, True]
    if closed:
        ends.append(len(stamps))
    parts = []
    for start, end in pairwise([0, *ends]):
        tokens = text.tokens[start:end]
        first, last = (_steps(tokens[n], tokenizer) * STEP_SECONDS for n in (0, -1))
        parts.append(_part(tokens, window.offset + first, window.offset + last, text, tokenizer))
    if closed:
        return parts, window.end
    return parts, window.start + _steps(text.tokens[ends[-1] - 1], tokenizer) * FRAMES_PER_STEP


def add_words(parts: list[Part], model: Any, tokenizer: Any, features: Any, window: Window) -> None:
    """Put a list of words into each sentence, and move its start and end to theirs.

    Args:
        parts: of one window.
        model: a `whisper.model.Whisper` with its alignment heads.
        tokenizer: for the language and task of the window.
        features: the encoder's output for it, ``[1500, state]``.
        window: where in the recording it is.
    """
    from whisper.timing import add_word_timestamps

    for part in parts:
        part["seek"] = window.start
    with _aligning:
        add_word_timestamps(
            segments=parts,
            model=_Encoded(model),
            tokenizer=tokenizer,
            mel=features,
            num_frames=window.frames,
            last_speech_timestamp=window.after / FRAMES_PER_SECOND,
        )


class _Encoded:
    """A Whisper model for `whisper.timing`, given what its encoder made instead of a spectrogram."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, features: Any, tokens: Any) -> Any:
        return self._model.decoder(tokens, features)


def _whole(text: Text, window: Window, tokenizer: Any) -> Part:
    """The window as one sentence, up to its last timestamp if it has one."""
    end = window.end / FRAMES_PER_SECOND
    last = next((token for token in reversed(text.tokens) if token > tokenizer.timestamp_begin), None)
    if last is not None:
        end = window.offset + _steps(last, tokenizer) * STEP_SECONDS
    return _part(text.tokens, window.offset, end, text, tokenizer)


def _part(tokens: Sequence[int], start: float, end: float, text: Text, tokenizer: Any) -> Part:
    return {
        "start": start,
        "end": end,
        "text": tokenizer.decode([token for token in tokens if token < tokenizer.eot]),
        "tokens": tokens,
        "temperature": text.temperature,
        "avg_logprob": text.avg_logprob,
        "compression_ratio": text.compression_ratio,
        "no_speech_prob": text.no_speech_prob,
    }


def _steps(token: int, tokenizer: Any) -> int:
    return token - int(tokenizer.timestamp_begin)
