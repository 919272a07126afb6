"""One window on its way through the decoder, from temperature to temperature until its text will do."""

from typing import Any

from deployments.models.whisper.timing import Part, add_words, parts_of
from deployments.models.whisper.token_rules import MAX_TOKENS, Text
from deployments.models.whisper.transcription import Transcription
from deployments.models.whisper.windows import FRAMES_PER_SECOND, Window

MOST_COMPRESSION, LEAST_LOGPROB, MOST_NO_SPEECH = 2.4, -1.0, 0.6
"""Whisper's own: a text that repeats itself, or is improbable, is tried again at the next temperature; a
window that probably holds no speech, and whose text is improbable, is left out."""


class Row:
    """A window of a transcription in the decoder.

    Args:
        transcription: the request of the window.
        window: one of the request's windows.
    """

    def __init__(self, transcription: Transcription, window: Window) -> None:
        self.transcription = transcription
        self.window = window
        self.features: Any = None
        """What the encoder made of it, ``[1500, state]``, where words need it again."""
        self.text = Text()
        self._tries = 0

    @property
    def length(self) -> int:
        """Tokens in its place of the decoder: prompt, start of transcript, text."""
        return self.transcription.initial_length + len(self.text.tokens)

    @property
    def frames_done(self) -> float:
        """How much of its window is done, at least: most texts end early."""
        return self.window.frames * len(self.text.tokens) / MAX_TOKENS

    def begin(self, device: Any) -> None:
        """Start an empty text, at the first temperature or the next one."""
        temperature = self.transcription.temperatures[self._tries]
        self._tries += 1
        self.text = Text(temperature, _chances(self.window, self._tries, device) if temperature else None)

    def must_begin_again(self) -> bool:
        """Judge a complete text."""
        from whisper.utils import compression_ratio

        text = self.text
        text.compression_ratio = compression_ratio(self.transcription.tokenizer.decode(text.tokens).strip())
        if self._tries == len(self.transcription.temperatures) or self._is_silence():
            return False
        return text.compression_ratio > MOST_COMPRESSION or text.avg_logprob < LEAST_LOGPROB

    def parts(self, model: Any) -> tuple[list[Part], int]:
        """Sentences of a complete text, and the frame of the recording up to which it heard."""
        if self._is_silence():
            return [], self.window.end
        parts, heard = parts_of(self.text, self.window, self.transcription.tokenizer)
        if self.transcription.request.word_timestamps:
            add_words(parts, model, self.transcription.tokenizer, self.features, self.window)
            if heard < self.window.end:
                heard = _end_of_words(parts, self.window) or heard
        return [part for part in parts if part["start"] != part["end"] and part["text"].strip()], heard

    def _is_silence(self) -> bool:
        return self.text.no_speech_prob > MOST_NO_SPEECH and self.text.avg_logprob <= LEAST_LOGPROB


def _end_of_words(parts: list[Part], window: Window) -> int | None:
    """The frame in which the last word ended, if that is in the window."""
    ends = [word["end"] for part in parts for word in part["words"]]
    frame = round(ends[-1] * FRAMES_PER_SECOND) if ends else window.start
    return frame if frame > window.start else None


def _chances(window: Window, tries: int, device: Any) -> Any:
    """The same for the same window, whenever and beside whatever it is decoded."""
    import torch

    return torch.Generator(device).manual_seed(window.start * 16 + tries)
