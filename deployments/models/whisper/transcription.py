"""State of one request to transcribe: its windows, their segments so far, and its output."""

from bisect import insort
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from audiograph.schemas import Segment, TranscribeRequest, TranscribeResult, Word
from deployments.models.base import Output, RunContext, Samples, Ticket
from deployments.models.kit.subtitles import transcript_files
from deployments.models.whisper.languages import is_detected, language_code
from deployments.models.whisper.timing import RawSegment
from deployments.models.whisper.vad import SAMPLE_RATE, has_speech
from deployments.models.whisper.windows import Window, split_into_windows

if TYPE_CHECKING:
    from whisper import Whisper as Network
    from whisper.tokenizer import Tokenizer

TEMPERATURE_LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Defaults of `whisper.transcribe`: the next one is tried if a text repeats itself or is improbable."""

UNDETERMINED = "und"
"""The language of a recording without speech, by its ISO 639 code."""

STAGE = "transcribing"
SOT_SEQUENCE_LENGTH = 3
"""Number of tokens of the start sequence: start of transcript, language and task."""


class Transcription:
    """A ticket, its recording and its text.

    Args:
        ticket: of an admitted request.
        model: the network that serves it.
    """

    def __init__(self, ticket: Ticket[TranscribeRequest], model: "Network") -> None:
        self.ticket = ticket
        self.request = ticket.request
        given = self.request.language
        self.language = None if given is None or is_detected(given) else language_code(given)
        """Its code; None until it is detected in the first window."""
        self.temperatures: Sequence[float] = TEMPERATURE_LADDER
        if self.request.temperature is not None:
            self.temperatures = (self.request.temperature,)
        self.is_open = False
        """Whether its recording is decoded."""
        self.queue: deque[Window] = deque()
        """Windows that have no row yet, in order."""
        self._model = model
        self._context: RunContext = ticket.context
        self._samples: Samples | None = None
        self._unsent_starts: list[int] = []  # of windows, in order
        # Segments by the start of their window, until all windows before it are accepted.
        self._accepted: dict[int, list[RawSegment]] = {}
        self._segments: list[Segment] = []
        self._text = ""
        self._frames = self._frames_done = 0
        self._fraction = 0.0
        self._offset = 0.0  # of the sound in its file, in seconds

    def open(self) -> None:
        """Decode the recording and divide it into windows.

        Raises:
            Canceled: the job was canceled.
            NotFound: the file does not exist any more.
            InvalidAudio: the file cannot be decoded.
        """
        self._context.progress(0.0, "decoding audio")
        self._samples, _ = self._context.audio(self.request.file, sample_rate=SAMPLE_RATE, mono=True)
        self._offset = self._context.offset(self.request.file)
        if self.request.vad:
            self._context.progress(0.0, "detecting speech")
        windows = split_into_windows(self._samples, vad=self.request.vad, check=self._context.check)
        self.queue.extend(self._begun_with_speech(windows) if self.language is None else windows)
        self._unsent_starts = [window.start for window in windows]
        self._frames = sum(window.frames for window in windows)
        self.is_open = True
        self.report()

    def _begun_with_speech(self, windows: list[Window]) -> list[Window]:
        """Put the first window with speech first: the language is detected there, not in an overture."""
        for index, window in enumerate(windows[:-1]):
            if has_speech(window.samples_of(self.samples), self._context.check):
                return [window, *windows[:index], *windows[index + 1 :]]
        return windows

    @property
    def samples(self) -> Samples:
        """The recording: float32 ``[frames]`` at 16 kHz."""
        assert self._samples is not None
        return self._samples

    @property
    def is_done(self) -> bool:
        """Whether all of its windows are transcribed."""
        return self.is_open and not self._unsent_starts

    @property
    def initial_length(self) -> int:
        """Number of `initial_tokens`."""
        return len(self._prompt) + SOT_SEQUENCE_LENGTH

    @property
    def initial_tokens(self) -> list[int]:
        """The first tokens of every window: the prompt, and the start sequence of its language and task."""
        return [*self._prompt, *self.tokenizer.sot_sequence]

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """Whisper's tokenizer for the language, which must be known, and the task."""
        from whisper.tokenizer import get_tokenizer

        assert self.language is not None
        return get_tokenizer(
            True,
            num_languages=self._model.num_languages,
            language=self.language,
            task="translate" if self.request.translate else "transcribe",
        )

    def report(self, running_frames: float = 0.0) -> None:
        """Report progress: the frames of accepted windows, and `running_frames` of windows in the decoder.

        Raises:
            Canceled: the job was canceled.
        """
        if not self.is_open:
            self._context.check()
            return
        done = (self._frames_done + running_frames) / self._frames if self._frames else 1.0
        # A higher temperature starts its window again; the progress must not go back with it.
        self._fraction = max(self._fraction, min(1.0, done))
        self._context.progress(self._fraction, STAGE)

    def accept(self, window: Window, segments: list[RawSegment], end_frame: int) -> None:
        """Store a window's segments, and send all segments that no unfinished window precedes.

        Args:
            window: of this recording.
            segments: of the window.
            end_frame: the frame of the recording up to which they reach; the rest becomes another window.

        Raises:
            Canceled: the job was canceled.
        """
        self._accepted[window.start] = segments
        if end_frame < window.end:
            rest = window.rest(end_frame)
            insort(self._unsent_starts, rest.start)
            self.queue.appendleft(rest)
        self._frames_done += min(end_frame, window.end) - window.start
        while self._unsent_starts and self._unsent_starts[0] in self._accepted:
            for segment in self._accepted.pop(self._unsent_starts.pop(0)):
                self._send(segment)
        self.report()

    def output(self) -> Output:
        """Return the result and its files, once the transcription is done."""
        result = TranscribeResult(
            text=self._text.strip(),
            language=self.language or UNDETERMINED,
            duration=round(self._seconds, 3),
            segments=self._segments,
            notes=list(self._notes()),
        )
        return Output(result, transcript_files(result), audio_seconds=self._seconds)

    @property
    def _seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @cached_property
    def _prompt(self) -> list[int]:
        """The last tokens of the given prompt that fit, behind the token that marks them as a prompt."""
        tokens = self._prompt_tokens
        return [int(self._plain_tokenizer.sot_prev), *tokens[-self._max_prompt_tokens :]] if tokens else []

    @cached_property
    def _prompt_tokens(self) -> list[int]:
        text = (self.request.prompt or "").strip()
        return list(self._plain_tokenizer.encode(" " + text)) if text else []

    @property
    def _max_prompt_tokens(self) -> int:
        """Half of the context without the token that marks the prompt, as in `whisper.decoding`."""
        return int(self._model.dims.n_text_ctx) // 2 - 1

    @property
    def _plain_tokenizer(self) -> "Tokenizer":
        from whisper.tokenizer import get_tokenizer

        return get_tokenizer(True, num_languages=self._model.num_languages)

    def _send(self, raw: RawSegment) -> None:
        """Send a segment as a partial result of the job."""
        segment = _segment(len(self._segments), raw, self._seconds, self._offset)
        self._segments.append(segment)
        self._text += raw["text"]  # begins with a space, in languages that have spaces
        self._context.partial({"segment": segment.model_dump(exclude_none=True)})

    def _notes(self) -> Iterator[str]:
        """Explain an empty result, and options without their full effect."""
        if not self._frames:
            yield "No speech was found." if self.request.vad else "The recording is empty."
        if self.request.word_timestamps and self.request.translate:
            yield "Word times of a translation are not reliable."
        if len(self._prompt_tokens) > self._max_prompt_tokens:
            yield (
                f"The prompt has {len(self._prompt_tokens)} tokens; "
                f"only the last {self._max_prompt_tokens} were used."
            )


def _segment(index: int, raw: RawSegment, duration: float, offset: float) -> Segment:
    """Build a segment in times of the file, clipped to the sound: whisper's windows reach beyond its end."""

    def clipped(seconds: float) -> float:
        return round(offset + min(max(float(seconds), 0.0), duration), 3)

    words = [
        Word(
            word=word["word"].strip(),
            start=clipped(word["start"]),
            end=clipped(word["end"]),
            probability=float(word["probability"]),
        )
        for word in raw.get("words", ())
    ]
    return Segment(
        id=index,
        start=clipped(raw["start"]),
        end=clipped(raw["end"]),
        text=raw["text"].strip(),
        temperature=raw["temperature"],
        avg_logprob=raw["avg_logprob"],
        compression_ratio=raw["compression_ratio"],
        no_speech_prob=raw["no_speech_prob"],
        words=words if "words" in raw else None,
    )
