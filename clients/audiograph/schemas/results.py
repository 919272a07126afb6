"""Results, one class per task, discriminated by ``task``. The audio itself is in the job's artifacts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Base of all records; unknown fields are kept, so that newer servers can add some."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)


class Result(Record):
    """Fields of every result."""

    notes: list[str] = Field(default_factory=list)
    """Ignored or clamped parameters, fallbacks taken, and remarks on the sound of the input."""


class Word(Record):
    """One word with its start and end in seconds."""

    word: str
    """The word, without blanks around it."""
    start: float
    """Start in seconds."""
    end: float
    """End in seconds."""
    probability: float | None = None
    """Probability of the word, 0..1."""


class Segment(Record):
    """A segment of speech with its start and end in seconds."""

    id: int
    """Number of the segment, from 0."""
    start: float
    """Start in seconds."""
    end: float
    """End in seconds."""
    text: str
    """Text of the segment."""
    temperature: float | None = None
    """Sampling temperature of the decoder."""
    avg_logprob: float | None = None
    """Mean log probability of its tokens."""
    compression_ratio: float | None = None
    """Compression ratio of its text; a high one means repetition."""
    no_speech_prob: float | None = None
    """Probability that there is no speech, 0..1."""
    words: list[Word] | None = None
    """Its words, with `word_timestamps`."""


class TranscribeResult(Result):
    """Text of the speech; also stored as artifacts json, txt, srt and vtt."""

    task: Literal["transcribe"] = "transcribe"
    """Always `transcribe`."""
    text: str
    """The whole text."""
    language: str
    """ISO 639-1 code of the language; `und` without speech."""
    duration: float
    """Duration of the recording in seconds."""
    segments: list[Segment]
    """Segments in order of time."""


class SeparateResult(Result):
    """Name of the artifact of each stem."""

    task: Literal["separate"] = "separate"
    """Always `separate`."""
    stems: dict[str, str]
    """Name of the artifact, by stem."""
    duration: float
    """Duration of each stem in seconds."""


class AudioResult(Result):
    """One produced recording; the artifact has its bytes."""

    duration: float
    """Duration in seconds."""
    sample_rate: int
    """Sample rate in Hz."""
    channels: int
    """Number of channels."""


class MusicResult(AudioResult):
    """Generated music."""

    task: Literal["generate_music"] = "generate_music"
    """Always `generate_music`."""
    seed: int | None = None
    """Seed of the music; the same request with it gives the same music."""


class SpeakResult(AudioResult):
    """Spoken text, and its voice; timed segments are also stored as artifacts json, srt and vtt."""

    task: Literal["speak"] = "speak"
    """Always `speak`."""
    voice: str
    """Name of the voice."""
    segments: list[Segment] | None = None
    """Its sentences and their words, with `word_timestamps`, if the model times its words."""


class SpokenTurn(Record):
    """A turn of a dialogue with its voice, and its start and end in seconds."""

    voice: str
    """Name of the voice."""
    text: str
    """Text of the turn."""
    start: float
    """Start in seconds."""
    end: float
    """End in seconds."""
    words: list[Word] | None = None
    """Its words, with `word_timestamps`, if the model times its words."""


class DialogueResult(AudioResult):
    """The spoken turns; also stored as artifacts json, srt and vtt."""

    task: Literal["dialogue"] = "dialogue"
    """Always `dialogue`."""
    turns: list[SpokenTurn]
    """Turns in order of time."""


class KeyCandidate(Record):
    """A key and its correlation with the recording's mean chroma, -1..1."""

    key: str
    """Name of the key."""
    correlation: float
    """Correlation, -1..1."""


class PitchResult(Result):
    """Detected key, such as ``"C major"`` or ``"F# minor"``."""

    task: Literal["analyze_pitch"] = "analyze_pitch"
    """Always `analyze_pitch`."""
    detected_key: str
    """The most likely key."""
    confidence: float = Field(ge=0, le=1)
    """Confidence in the detected key."""
    dominant_pitches: list[str]
    """Strongest pitch classes, the strongest first; none if no pitch stands out."""
    candidates: list[KeyCandidate]
    """Keys, the most likely first."""
    chroma_mean: list[float] = Field(min_length=12, max_length=12)
    """Mean chroma of C to B, scaled to a maximum of 1; zeros if no pitch was found."""
    tuning_cents: float | None = None
    """Deviation from A4 = 440 Hz in cents, if measured."""
    duration: float
    """Duration of the recording in seconds."""


class DescribeResult(Result):
    """Description of the audio in words."""

    task: Literal["describe"] = "describe"
    """Always `describe`."""
    text: str
    """The description."""


class PipelineResult(Result):
    """Results of the stages of a pipeline."""

    task: Literal["pipeline"] = "pipeline"
    """Always `pipeline`."""
    stages: dict[str, Any]
    """Result of each stage, by name."""


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
