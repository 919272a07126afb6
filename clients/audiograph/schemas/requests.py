"""Requests, one flat class per task. Unknown fields are refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from audiograph._patterns import IDENTIFIER, PRINTABLE, VOICE_NAME

TaskName = Literal[
    "transcribe", "separate", "generate_music", "speak", "dialogue", "analyze_pitch", "describe", "pipeline"
]
AudioFormat = Literal["wav", "mp3", "flac", "opus", "aac"]

Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=PRINTABLE)]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=IDENTIFIER)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Parameters = dict[Annotated[str, StringConstraints(max_length=64)], Any]


class Request(BaseModel):
    """Fields of every request."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    model: Name | None = None
    """Name of the model; the server's default for the task if absent."""
    variant: Name | None = None
    """Variant of the model; the model's default if absent."""
    priority: int = Field(5, ge=1, le=9)
    """1 runs first, 9 last; equal priorities run in order of arrival."""
    time_limit: float | None = Field(None, gt=0, le=86400)
    """Maximum run time in seconds; the server's limit if absent or longer."""
    tags: list[Name] = Field(default_factory=list, max_length=32)
    """Stored with every artifact."""
    creator: Name | None = None
    """Person or program that sends the request."""
    parent_id: Identifier | None = None
    """Id of the artifact that this one derives from."""
    variation_set_id: Identifier | None = None
    """Id shared by alternative takes of one idea."""
    client_job_id: Name | None = None
    """The caller's own id, returned with the job."""


FileRef = Annotated[Identifier, Field(description="Id of an uploaded file or an artifact.")]


class TranscribeRequest(Request):
    """Transcribe speech."""

    task: Literal["transcribe"] = "transcribe"
    """Always `transcribe`."""
    file: FileRef
    language: str | None = Field(None, max_length=32)
    """Language tag such as `de` or `pt-BR`, or English name; detected if absent, empty or `auto`."""
    prompt: str | None = Field(None, max_length=4096)
    """Text that conditions vocabulary and style."""
    temperature: float | None = Field(None, ge=0, le=1)
    """Sampling temperature; if absent 0, raised where decoding fails."""
    word_timestamps: bool = False
    """Return start, end and probability of every word."""
    translate: bool = False
    """Translate into English."""
    vad: bool = False
    """Detect speech first and skip the rest, if the model supports it."""


class SeparateRequest(Request):
    """Separate a mixture into its stems."""

    task: Literal["separate"] = "separate"
    """Always `separate`."""
    file: FileRef
    stems: list[Name] | None = Field(None, min_length=1, max_length=8)
    """Stems to return; all if absent."""
    two_stems: Name | None = None
    """Return this stem and the sum of all others."""
    shifts: int = Field(1, ge=0, le=20)
    """Random shifts to average; more are slower and better."""
    overlap: float = Field(0.25, ge=0, lt=1)
    """Overlap between segments, as a fraction of their length."""
    segment: float | None = Field(None, gt=0, le=600)
    """Length of a segment in seconds; the model's own if absent."""
    format: AudioFormat = "wav"
    """Format of the stems."""


class GenerateMusicRequest(Request):
    """Generate music from text, or from text and audio."""

    task: Literal["generate_music"] = "generate_music"
    """Always `generate_music`."""
    prompt: str = Field("", max_length=4096)
    """Empty for unconditional generation, if the model supports it."""
    duration: float = Field(10.0, ge=0.5, le=600)
    """Seconds of audio."""
    lyrics: str | None = Field(None, max_length=16_384)
    """Text to sing, if the model sings."""
    bpm: int | None = Field(None, ge=30, le=300)
    """Tempo in beats per minute."""
    key: str | None = Field(None, max_length=32, examples=["C major"])
    """Key of the music."""
    time_signature: str | None = Field(None, max_length=8, examples=["4/4"])
    """Time signature, if the model supports it."""
    file: FileRef | None = None
    """Melody to follow or recording to continue, by the model's variant."""
    temperature: float | None = Field(None, ge=0.01, le=2)
    """Sampling temperature; the model's default if absent."""
    top_k: int | None = Field(None, ge=0, le=1000)
    """Sample from this many likeliest tokens; 0 for no limit."""
    top_p: float | None = Field(None, ge=0, le=1)
    """Sample from the likeliest tokens with this total probability; 0 for no limit."""
    guidance_scale: float | None = Field(None, ge=1, le=15)
    """Classifier-free guidance; 1 for none."""
    do_sample: bool = True
    """Sample tokens; false for the likeliest token each time."""
    seed: Seed | None = None
    """Random seed; drawn at random if absent, and returned with the result."""
    format: AudioFormat = "wav"
    """Format of the recording."""


class SpeakRequest(Request):
    """Speak a text with one voice."""

    task: Literal["speak"] = "speak"
    """Always `speak`."""
    text: str = Field(min_length=1, max_length=20_000)
    """Text to speak."""
    voice: Name | None = None
    """A voice of the model, or a recorded one; the model's default if absent or not found."""
    speed: float = Field(1.0, ge=0.25, le=4)
    """Factor of the voice's natural pace."""
    word_timestamps: bool = False
    """Return start and end of every word, if the model times its words."""
    seed: Seed | None = None
    """Random seed; the same seed gives the same speech."""
    format: AudioFormat = "wav"
    """Format of the recording."""
    parameters: Parameters = Field(default_factory=dict)
    """The model's own parameters."""


class Turn(BaseModel):
    """One turn of a dialogue."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: str = Field(min_length=1, max_length=20_000)
    """Text to speak."""
    voice: Name | None = None
    """A voice of the model, or a recorded one; the model's default if absent or not found."""


class DialogueRequest(Request):
    """Speak turns with several voices, as one recording."""

    task: Literal["dialogue"] = "dialogue"
    """Always `dialogue`."""
    turns: list[Turn] = Field(min_length=1, max_length=256)
    """Turns in order of time."""
    word_timestamps: bool = False
    """Return start and end of every word, if the model times its words."""
    seed: Seed | None = None
    """Random seed; the same seed gives the same speech."""
    format: AudioFormat = "wav"
    """Format of the recording."""
    parameters: Parameters = Field(default_factory=dict)
    """The model's own parameters."""


class AnalyzePitchRequest(Request):
    """Detect the key, pitches and chroma of a recording."""

    task: Literal["analyze_pitch"] = "analyze_pitch"
    """Always `analyze_pitch`."""
    file: FileRef


class DescribeRequest(Request):
    """Describe a recording in words."""

    task: Literal["describe"] = "describe"
    """Always `describe`."""
    file: FileRef
    instruction: str | None = Field(None, max_length=4096)
    """Question or instruction for the description."""


class PipelineRequest(Request):
    """Run a named pipeline of several models."""

    task: Literal["pipeline"] = "pipeline"
    """Always `pipeline`."""
    pipeline: Name
    """Name of the pipeline."""
    text: str | None = Field(None, max_length=65_536)
    """Input text."""
    file: FileRef | None = None
    """Input file."""
    output: Name | None = None
    """Name of the output configuration."""
    parameters: Parameters = Field(default_factory=dict)
    """The pipeline's own parameters."""


AnyRequest = Annotated[
    TranscribeRequest
    | SeparateRequest
    | GenerateMusicRequest
    | SpeakRequest
    | DialogueRequest
    | AnalyzePitchRequest
    | DescribeRequest
    | PipelineRequest,
    Field(discriminator="task"),
]
ANY_REQUEST: TypeAdapter[AnyRequest] = TypeAdapter(AnyRequest)


class CreateVoiceRequest(BaseModel):
    """Store a recording as a voice."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=VOICE_NAME)]
    """Id of the voice: letters, digits, blanks, dots, dashes and underscores."""
    file: FileRef
    transcript: str | None = Field(None, min_length=1, max_length=4096)
    """Words spoken in the recording; some models require them."""


def voices_named(request: Request) -> dict[str, str]:
    """Return the voices that a request names, by field."""
    named: dict[str, str | None] = {}
    if isinstance(request, SpeakRequest):
        named = {"voice": request.voice}
    elif isinstance(request, DialogueRequest):
        named = {f"turns.{index}.voice": turn.voice for index, turn in enumerate(request.turns)}
    return {field: voice for field, voice in named.items() if voice is not None}


def file_references(request: Request) -> dict[str, str]:
    """Return the files and artifacts that a request needs: by id, the first field that names each."""
    named = {"file": getattr(request, "file", None), "parent_id": request.parent_id}
    named |= {field: voice for field, voice in voices_named(request).items() if is_item_id(voice)}
    fields: dict[str, str] = {}
    for field, item_id in named.items():
        if item_id:
            fields.setdefault(item_id, field)
    return fields


def is_item_id(text: str) -> bool:
    """Return whether a text has the form of a file's or an artifact's id."""
    return re.fullmatch(r"(file|art)_[0-9a-f]{32}", text) is not None
