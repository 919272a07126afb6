"""Writes transcripts and spoken texts as JSON, plain text, SubRip and WebVTT."""

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from audiograph.schemas import Result, Segment, SpeakResult, TranscribeResult
from deployments.models.base import FileOutput


def transcript_files(result: TranscribeResult, stem: str = "transcription") -> list[FileOutput]:
    """Build ``STEM.json``, ``STEM.txt``, ``STEM.srt`` and ``STEM.vtt``, all in UTF-8."""
    contents = (
        ("json", "application/json", to_json(result)),
        ("txt", "text/plain", to_text(result)),
        ("srt", "application/x-subrip", to_srt(result.segments)),
        ("vtt", "text/vtt", to_vtt(result.segments)),
    )
    return [FileOutput(f"{stem}.{end}", content.encode(), kind) for end, kind, content in contents]


def speech_files(result: SpeakResult, stem: str = "speech") -> list[FileOutput]:
    """Build ``STEM.json``, ``STEM.srt`` and ``STEM.vtt`` of timed speech, all in UTF-8."""
    segments = result.segments or []
    contents = (
        ("json", "application/json", to_json(result)),
        ("srt", "application/x-subrip", to_srt(segments)),
        ("vtt", "text/vtt", to_vtt(segments)),
    )
    return [FileOutput(f"{stem}.{end}", content.encode(), kind) for end, kind, content in contents]


def to_json(result: Result) -> str:
    """Format the result as in the job, indented."""
    return result.model_dump_json(indent=2, exclude_none=True) + "\n"


def to_text(result: TranscribeResult) -> str:
    """Format one line per segment."""
    return "".join(f"{_line(segment.text)}\n" for segment in result.segments)


@dataclass(frozen=True, slots=True)
class Cue:
    """A subtitle, with its times in seconds."""

    start: float
    end: float
    text: str


def to_srt(cues: Iterable[Cue | Segment]) -> str:
    """Format SubRip: numbered cues, and a comma before the milliseconds."""
    return "".join(
        f"{n}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text.replace('-->', '->')}\n\n"
        for n, (start, end, text) in enumerate(_in_order(cues), start=1)
    )


def to_vtt(cues: Iterable[Cue | Segment]) -> str:
    """Format WebVTT: a header, a dot before the milliseconds, and escaped markup."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{html.escape(text, quote=False)}\n\n"
        for start, end, text in _in_order(cues)
    )


def _in_order(cues: Iterable[Cue | Segment]) -> Iterator[tuple[int, int, str]]:
    """Yield start and end in milliseconds, and the text, of cues.

    As players require, cues do not overlap and last at least a millisecond.
    """
    last = 0
    for cue in cues:
        if text := _line(cue.text):
            start = max(last, round(cue.start * 1000))
            last = max(start + 1, round(cue.end * 1000))
            yield start, last, text


def _line(text: str) -> str:
    """Join a text to one line: an empty line would end the cue."""
    return " ".join(text.split())


def _clock(milliseconds: int, mark: str) -> str:
    seconds, milliseconds = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{mark}{milliseconds:03d}"
