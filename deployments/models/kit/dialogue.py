"""Turns of a dialogue: equally loud, joined without clicks, and written down as who speaks when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from audiograph.schemas import AudioFormat, DialogueResult, SpeakResult, SpokenTurn
from deployments.audio.fades import faded, pause
from deployments.audio.loudness import leveled, within_full_scale
from deployments.models.base import AudioOutput, FileOutput, Output, RunContext, Samples
from deployments.models.kit.subtitles import Cue, to_srt, to_vtt


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """One turn as it was spoken: mono samples ``[frames]``."""

    voice: str
    text: str
    samples: Samples


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a run's progress, such as that of one turn."""

    context: RunContext
    start: float = 0.0
    end: float = 1.0

    def progress(self, fraction: float) -> None:
        """How far this part is, 0..1; raises Canceled."""
        self.context.progress(self.start + (self.end - self.start) * fraction, "speaking")

    def check(self) -> None:
        """Raise Canceled if the job was canceled."""
        self.context.check()


def spans(context: RunContext, count: int) -> list[Span]:
    """A run's progress in so many equal parts."""
    return [Span(context, number / count, (number + 1) / count) for number in range(count)]


def joined(parts: Sequence[SpokenPart], sample_rate: int) -> tuple[Samples, list[SpokenTurn]]:
    """All turns one after the other, with a pause between them, and when each of them is.

    All are brought to one loudness; if a peak then passes full scale, they are turned down alike.
    """
    breath = pause(sample_rate)
    pieces: list[Samples] = []
    turns: list[SpokenTurn] = []
    frames = 0
    for part in parts:
        if pieces:
            pieces.append(breath)
            frames += len(breath)
        spoken = faded(leveled(part.samples, sample_rate), sample_rate)
        pieces.append(spoken)
        start, frames = frames, frames + len(spoken)
        turns.append(
            SpokenTurn(voice=part.voice, text=part.text, start=start / sample_rate, end=frames / sample_rate)
        )
    return within_full_scale(np.concatenate(pieces)), turns


def speech_output(
    part: SpokenPart, sample_rate: int, audio_format: AudioFormat, notes: Sequence[str]
) -> Output:
    """What ``speak`` gives back: the recording, and who spoke it."""
    duration = len(part.samples) / sample_rate
    result = SpeakResult(
        voice=part.voice, duration=duration, sample_rate=sample_rate, channels=1, notes=list(notes)
    )
    audio = AudioOutput("speech", part.samples, sample_rate, audio_format)
    return Output(result, (audio,), audio_seconds=duration)


def dialogue_output(
    parts: Sequence[SpokenPart], sample_rate: int, audio_format: AudioFormat, notes: Sequence[str]
) -> Output:
    """What ``dialogue`` gives back where turns are made one by one: all `joined`, and who speaks when."""
    samples, turns = joined(parts, sample_rate)
    duration = len(samples) / sample_rate
    result = DialogueResult(
        turns=turns, duration=duration, sample_rate=sample_rate, channels=1, notes=list(notes)
    )
    audio = AudioOutput("dialogue", samples, sample_rate, audio_format)
    return Output(result, (audio, *dialogue_files(result)), audio_seconds=duration)


def dialogue_files(result: DialogueResult, stem: str = "dialogue") -> list[FileOutput]:
    """``STEM.json``, ``.srt`` and ``.vtt``, all UTF-8."""
    contents = (
        ("json", "application/json", result.model_dump_json(indent=2, exclude_none=True) + "\n"),
        ("srt", "application/x-subrip", to_srt(_cues(result.turns))),
        ("vtt", "text/vtt", to_vtt(_cues(result.turns))),
    )
    return [FileOutput(f"{stem}.{end}", content.encode(), kind) for end, kind, content in contents]


def _cues(turns: Iterable[SpokenTurn]) -> list[Cue]:
    return [Cue(turn.start, turn.end, f"{turn.voice}: {turn.text}") for turn in turns]
