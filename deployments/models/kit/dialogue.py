"""Joins the turns of a dialogue at equal loudness, and builds the outputs of speech and dialogue."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audiograph.schemas import (
    AudioFormat,
    DialogueRequest,
    DialogueResult,
    Segment,
    SpeakResult,
    SpokenTurn,
    Turn,
)
from deployments.audio.fades import fade, silence
from deployments.audio.loudness import normalize_loudness, prevent_clipping
from deployments.models.base import AudioOutput, FileOutput, Output, RunContext, Samples
from deployments.models.kit.speaking import STAGE, Speaker, Speech
from deployments.models.kit.speech_model import SpeechRequest
from deployments.models.kit.subtitles import Cue, to_srt, to_vtt
from deployments.models.kit.word_times import moved_word


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """The speech of one turn: mono samples ``[frames]``."""

    voice: str
    text: str
    samples: Samples
    segments: Sequence[Segment] | None = None
    """Its sentences with their words, in seconds of the samples; None if they are not timed."""


@dataclass(frozen=True, slots=True)
class ProgressSlice:
    """A slice of a run's progress, such as that of one turn."""

    context: RunContext
    start: float = 0.0
    end: float = 1.0

    def report(self, fraction: float) -> None:
        """Report the progress within this slice, 0..1; raise Canceled if the job was canceled."""
        self.context.progress(self.start + (self.end - self.start) * fraction, STAGE)

    def check(self) -> None:
        """Raise Canceled if the job was canceled."""
        self.context.check()


def progress_slices(context: RunContext, count: int) -> list[ProgressSlice]:
    """Divide a run's progress into equal slices."""
    return [ProgressSlice(context, number / count, (number + 1) / count) for number in range(count)]


def join_turns(parts: Sequence[SpokenPart], sample_rate: int) -> tuple[Samples, list[SpokenTurn]]:
    """Join turns with pauses between them; returns the samples ``[frames]`` and the times of the turns.

    All turns get the same loudness. If a peak then exceeds full scale, all are scaled down alike.
    """
    pause = silence(sample_rate)
    pieces: list[Samples] = []
    turns: list[SpokenTurn] = []
    frames = 0
    for part in parts:
        if pieces:
            pieces.append(pause)
            frames += len(pause)
        spoken = fade(normalize_loudness(part.samples, sample_rate), sample_rate)
        pieces.append(spoken)
        start, frames = frames, frames + len(spoken)
        turns.append(_turn(part, start / sample_rate, frames / sample_rate))
    return prevent_clipping(np.concatenate(pieces)), turns


def _turn(part: SpokenPart, start: float, end: float) -> SpokenTurn:
    turn = SpokenTurn(voice=part.voice, text=part.text, start=start, end=end)
    if part.segments is not None:
        turn.words = [moved_word(word, start) for segment in part.segments for word in segment.words or ()]
    return turn


def spoken_parts(
    turns: Sequence[Turn], speakers: Mapping[str | None, Speaker[Any]], speeches: Sequence[Speech]
) -> list[SpokenPart]:
    """Combine turns with their speakers, by the voice that a turn names, and their speech."""
    return [
        SpokenPart(speakers[turn.voice].name, turn.text, speech.samples)
        for turn, speech in zip(turns, speeches, strict=True)
    ]


def spoken_output(
    request: SpeechRequest, parts: Sequence[SpokenPart], sample_rate: int, notes: Sequence[str]
) -> Output:
    """Build the output of a request from its turns, which were spoken one by one; ``speak`` has one."""
    if isinstance(request, DialogueRequest):
        return dialogue_output(parts, sample_rate, request.format, notes)
    (part,) = parts
    return speech_output(part, sample_rate, request.format, notes)


def speech_output(
    part: SpokenPart, sample_rate: int, audio_format: AudioFormat, notes: Sequence[str]
) -> Output:
    """Build the output of ``speak``: the audio file and its result."""
    duration = len(part.samples) / sample_rate
    result = SpeakResult(
        voice=part.voice,
        duration=duration,
        sample_rate=sample_rate,
        channels=1,
        notes=list(notes),
        segments=None if part.segments is None else list(part.segments),
    )
    audio = AudioOutput("speech", part.samples, sample_rate, audio_format)
    return Output(result, (audio,), audio_seconds=duration)


def dialogue_output(
    parts: Sequence[SpokenPart], sample_rate: int, audio_format: AudioFormat, notes: Sequence[str]
) -> Output:
    """Build the output of ``dialogue`` from turns that were spoken one by one."""
    samples, turns = join_turns(parts, sample_rate)
    return recorded_dialogue_output(samples, turns, sample_rate, audio_format, notes)


def recorded_dialogue_output(
    samples: Samples,
    turns: Sequence[SpokenTurn],
    sample_rate: int,
    audio_format: AudioFormat,
    notes: Sequence[str],
) -> Output:
    """Build the output of ``dialogue`` from one recording, mono ``[frames]``, and the times of its turns."""
    duration = len(samples) / sample_rate
    result = DialogueResult(
        turns=list(turns), duration=duration, sample_rate=sample_rate, channels=1, notes=list(notes)
    )
    audio = AudioOutput("dialogue", samples, sample_rate, audio_format)
    return Output(result, (audio, *dialogue_files(result)), audio_seconds=duration)


def dialogue_files(result: DialogueResult, stem: str = "dialogue") -> list[FileOutput]:
    """Build ``STEM.json``, ``STEM.srt`` and ``STEM.vtt``, all in UTF-8."""
    contents = (
        ("json", "application/json", result.model_dump_json(indent=2, exclude_none=True) + "\n"),
        ("srt", "application/x-subrip", to_srt(_cues(result.turns))),
        ("vtt", "text/vtt", to_vtt(_cues(result.turns))),
    )
    return [FileOutput(f"{stem}.{end}", content.encode(), kind) for end, kind, content in contents]


def _cues(turns: Iterable[SpokenTurn]) -> list[Cue]:
    return [Cue(turn.start, turn.end, f"{turn.voice}: {turn.text}") for turn in turns]
