"""Results, one class per task, discriminated by ``task``. The audio itself is in the job's artifacts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Base of all records; unknown fields are kept, so that newer servers can add some."""

    model_config = ConfigDict(extra="allow")


class Result(Record):
    """Fields of every result."""

    notes: list[str] = Field(
        default_factory=list, description="Ignored or clamped parameters, and fallbacks taken."
    )


class Word(Record):
    """One word with its start and end in seconds."""

    word: str
    start: float
    end: float
    probability: float | None = None


class Segment(Record):
    """A segment of speech with its start and end in seconds."""

    id: int
    start: float
    end: float
    text: str
    temperature: float | None = None
    avg_logprob: float | None = None
    compression_ratio: float | None = None
    no_speech_prob: float | None = None
    words: list[Word] | None = None


class TranscribeResult(Result):
    """Text of the speech; also stored as artifacts json, txt, srt and vtt."""

    task: Literal["transcribe"] = "transcribe"
    text: str
    language: str
    duration: float
    segments: list[Segment]


class SeparateResult(Result):
    """Name of the artifact of each stem."""

    task: Literal["separate"] = "separate"
    stems: dict[str, str]
    duration: float


class AudioResult(Result):
    """One produced recording; the artifact has its bytes."""

    duration: float
    sample_rate: int
    channels: int


class MusicResult(AudioResult):
    """Generated music."""

    task: Literal["generate_music"] = "generate_music"
    seed: int | None = None


class SpeakResult(AudioResult):
    """Spoken text, and the voice that spoke it."""

    task: Literal["speak"] = "speak"
    voice: str


class SpokenTurn(Record):
    """A turn of a dialogue with its voice, and its start and end in seconds."""

    voice: str
    text: str
    start: float
    end: float


class DialogueResult(AudioResult):
    """The spoken turns; also stored as artifacts json, srt and vtt."""

    task: Literal["dialogue"] = "dialogue"
    turns: list[SpokenTurn]


class KeyCandidate(Record):
    """A key and its correlation with the recording's mean chroma, -1..1."""

    key: str
    correlation: float


class PitchResult(Result):
    """Detected key, such as ``"C major"`` or ``"F# minor"``."""

    task: Literal["analyze_pitch"] = "analyze_pitch"
    detected_key: str
    confidence: float = Field(ge=0, le=1)
    dominant_pitches: list[str]
    candidates: list[KeyCandidate]
    chroma_mean: list[float] = Field(
        min_length=12, max_length=12, description="Mean chroma of C to B, scaled to a maximum of 1."
    )
    tuning_cents: float | None = None
    duration: float


class DescribeResult(Result):
    """Description of the audio in words."""

    task: Literal["describe"] = "describe"
    text: str


class PipelineResult(Result):
    """Results of the stages of a pipeline."""

    task: Literal["pipeline"] = "pipeline"
    stages: dict[str, Any]


AnyResult = Annotated[
    TranscribeResult
    | SeparateResult
    | MusicResult
    | SpeakResult
    | DialogueResult
    | PitchResult
    | DescribeResult
    | PipelineResult,
    Field(discriminator="task"),
]
