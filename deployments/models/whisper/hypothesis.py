"""Decodes one window at rising temperatures until its text is acceptable."""

from typing import TYPE_CHECKING

from deployments.models.whisper.timing import RawSegment, add_words, split_segments
from deployments.models.whisper.token_rules import MAX_TOKENS, Decoded
from deployments.models.whisper.transcription import Transcription
from deployments.models.whisper.vad import has_speech
from deployments.models.whisper.windows import FRAMES_PER_SECOND, Window

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from whisper import Whisper as Network

COMPRESSION_RATIO_THRESHOLD = 2.4
"""A text above it repeats itself, and is decoded again at the next temperature."""
LOGPROB_THRESHOLD = -1.0
"""A text below it is improbable, and is decoded again at the next temperature."""
NO_SPEECH_THRESHOLD = 0.6
"""An improbable text above it is dropped: its window is silent. All are defaults of `whisper.transcribe`."""

AGREEING_TEXTS = 3
"""Equal texts at successive temperatures that prove that the speech repeats itself, not the network: all are
of one opinion, and none runs on to the maximum number of tokens."""

DOUBTFUL_SPEECH = 0.2
"""Above it, the network suspects that a window is silent, and the speech detector is asked as well. Its own
thresholds do not suffice: in noise and in music it hears words with great confidence."""


class Hypothesis:
    """A window in a row of the decoder, and its text at the current temperature.

    Args:
        transcription: the request of the window.
        window: one of the request's windows.
    """

    def __init__(self, transcription: Transcription, window: Window) -> None:
        self.transcription = transcription
        self.window = window
        self.features: Tensor | None = None
        """Audio features of the window, ``[1500, state]``, if its words are to be aligned with them."""
        self.decoded = Decoded()
        self._tries = 0
        self._text = ""
        self._agreeing = 0  # texts in a row that equal the last one

    @property
    def length(self) -> int:
        """Number of tokens in the decoder's row: prompt, start sequence and text."""
        return self.transcription.initial_length + len(self.decoded.tokens)

    @property
    def frames_done(self) -> float:
        """Frames of the window that are decoded, as if its text had `MAX_TOKENS`; most texts are shorter."""
        return self.window.frames * len(self.decoded.tokens) / MAX_TOKENS

    def begin(self, device: "torch.device") -> None:
        """Begin an empty text, at the first temperature or the next one."""
        temperature = self.transcription.temperatures[self._tries]
        self._tries += 1
        self.decoded = Decoded(
            temperature, _generator(self.window, self._tries, device) if temperature else None
        )

    def is_without_speech(self) -> bool:
        """Return whether a text that has just begun should have no words, before any is decoded.

        Raises:
            Canceled: the job was canceled.
        """
        if self._tries > 1 or self.decoded.no_speech_prob <= DOUBTFUL_SPEECH:
            return False
        samples = self.window.samples_of(self.transcription.samples)
        return not has_speech(samples, self.transcription.report)

    def needs_fallback(self) -> bool:
        """Measure a complete text's compression, and return whether to decode it at the next temperature.

        The criteria are those of `decode_with_fallback` in `whisper.transcribe`, except that a text which
        repeats itself is accepted if further tries confirm it. A refrain would lose most of its lines
        otherwise, since only a text without them is repetitive no more.
        """
        from whisper.utils import compression_ratio

        decoded = self.decoded
        text = self.transcription.tokenizer.decode(decoded.tokens).strip()
        decoded.compression_ratio = compression_ratio(text)
        if self._tries == len(self.transcription.temperatures) or self._is_silence():
            return False
        if decoded.avg_logprob < LOGPROB_THRESHOLD:
            return True
        return decoded.compression_ratio > COMPRESSION_RATIO_THRESHOLD and not self._is_confirmed(text)

    def segments(self, model: "Network") -> tuple[list[RawSegment], int]:
        """Return the segments of an accepted text, and the frame of the recording up to which they reach."""
        if self._is_silence():
            return [], self.window.end
        segments, end_frame = split_segments(self.decoded, self.window, self.transcription.tokenizer)
        if self.features is not None:
            add_words(segments, model, self.transcription.tokenizer, self.features, self.window)
            if end_frame < self.window.end:
                end_frame = _end_of_words(segments, self.window) or end_frame
        spoken = [s for s in segments if s["start"] != s["end"] and s["text"].strip()]
        return spoken, end_frame

    def _is_confirmed(self, text: str) -> bool:
        """Return whether so many tries in a row have ended with the same text."""
        self._agreeing = self._agreeing + 1 if text == self._text else 1
        self._text = text
        return self._agreeing >= AGREEING_TEXTS and len(self.decoded.tokens) < MAX_TOKENS

    def _is_silence(self) -> bool:
        decoded = self.decoded
        return decoded.no_speech_prob > NO_SPEECH_THRESHOLD and decoded.avg_logprob <= LOGPROB_THRESHOLD


def _end_of_words(segments: list[RawSegment], window: Window) -> int | None:
    """Return the frame in which the last word ends, if it is inside the window."""
    ends = [word["end"] for segment in segments for word in segment["words"]]
    frame = round(ends[-1] * FRAMES_PER_SECOND) if ends else window.start
    return frame if frame > window.start else None


def _generator(window: Window, tries: int, device: "torch.device") -> "torch.Generator":
    """Seed a generator by the window and the try, so that the other rows of the decoder do not matter."""
    import torch

    return torch.Generator(device).manual_seed(window.start * 16 + tries)
