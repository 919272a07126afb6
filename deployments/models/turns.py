"""Turns of a dialogue: equally loud, joined without clicks, and written down as who speaks when."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from audiograph.schemas import DialogueResult, SpokenTurn
from deployments.models.base import FileOutput, Samples
from deployments.models.transcripts import Cue, to_srt, to_vtt

PAUSE_SECONDS = 0.25
FADE_SECONDS = 0.005
"""Of both ends of a turn: long enough for no click, too short to be heard."""
LOUDNESS = -23.0
"""LUFS of every turn (EBU R 128)."""
SHORTEST_SECONDS = 0.4
"""The meter's window (ITU-R BS.1770): what is shorter is measured as if repeated."""
PEAK = 0.99


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """One turn as it was spoken: mono samples ``[frames]``."""

    voice: str
    text: str
    samples: Samples


def joined(parts: Sequence[SpokenPart], sample_rate: int) -> tuple[Samples, list[SpokenTurn]]:
    """All turns one after the other, with a pause between them, and when each of them is.

    Each is brought to `LOUDNESS`; if a peak then passes full scale, all are turned down alike.
    """
    pause = np.zeros(round(PAUSE_SECONDS * sample_rate), np.float32)
    pieces: list[Samples] = []
    turns: list[SpokenTurn] = []
    frames = 0
    for part in parts:
        if pieces:
            pieces.append(pause)
            frames += len(pause)
        spoken = faded(leveled(part.samples, sample_rate), sample_rate)
        pieces.append(spoken)
        start, frames = frames, frames + len(spoken)
        turns.append(
            SpokenTurn(
                voice=part.voice, text=part.text, start=start / sample_rate, end=frames / sample_rate
            )
        )
    samples = np.concatenate(pieces)
    return samples * np.float32(min(1.0, PEAK / max(float(np.abs(samples).max()), 1e-9))), turns


def leveled(samples: Samples, sample_rate: int) -> Samples:
    """Mono samples at `LOUDNESS`; silence stays silence."""
    import pyloudnorm

    times = -(-round(SHORTEST_SECONDS * sample_rate) // max(1, len(samples)))
    loudness = pyloudnorm.Meter(sample_rate).integrated_loudness(np.tile(samples, times).astype(np.float64))
    if not np.isfinite(loudness):
        return samples
    gain: Samples = samples * np.float32(10 ** ((LOUDNESS - loudness) / 20))
    return gain


def faded(samples: Samples, sample_rate: int) -> Samples:
    """The same with its ends faded in and out, so that what comes before and after may be silence."""
    length = min(round(FADE_SECONDS * sample_rate), len(samples) // 2)
    ramp = np.linspace(0, 1, length, dtype=np.float32)
    shaped = samples.copy()
    shaped[:length] *= ramp
    shaped[len(samples) - length :] *= ramp[::-1]
    return shaped


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
