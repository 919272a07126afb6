"""Requests, one class per task: flat, typed, and closed to unknown fields."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

TaskName = Literal[
    "transcribe", "separate", "generate_music", "speak", "dialogue", "analyze_pitch", "describe", "pipeline"
]
AudioFormat = Literal["wav", "mp3", "flac", "opus", "aac"]

Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$")]
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Parameters = dict[Annotated[str, StringConstraints(max_length=64)], Any]


class Request(BaseModel):
    """What every request carries beside its task's own fields."""

    model_config = ConfigDict(extra="forbid")

    model: Name | None = Field(None, description="Model family; the server's default for the task if absent.")
    variant: Name | None = Field(None, description="Variant of the model; the model's default if absent.")
    priority: int = Field(5, ge=1, le=9, description="1 is picked first, 9 last; equals in order of arrival.")
    time_limit: float | None = Field(
        None, gt=0, le=86_400, description="Seconds of running time; the server's limit if absent or longer."
    )
    tags: list[Name] = Field(default_factory=list, max_length=32, description="Kept on every artifact.")
    creator: Name | None = Field(None, description="Who or what asked for this.")
    parent_id: Identifier | None = Field(None, description="The artifact that this one derives from.")
    variation_set_id: Identifier | None = Field(None, description="Groups alternative takes of one idea.")
    client_job_id: Name | None = Field(None, description="The caller's own id, echoed.")


FileRef = Annotated[Identifier, Field(description="Id of an uploaded file or of an artifact.")]


class TranscribeRequest(Request):
    """Speech to text."""

    task: Literal["transcribe"] = "transcribe"
    file: FileRef
    language: str | None = Field(
        None, max_length=32, description="ISO 639-1 code or English name; detected if absent."
    )
    prompt: str | None = Field(None, max_length=4096, description="Text that sets vocabulary and style.")
    temperature: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Sampling temperature; absent: 0, raised where decoding fails.",
    )
    word_timestamps: bool = Field(False, description="Start, end and probability of every word.")
    translate: bool = Field(False, description="Into English.")
    vad: bool = Field(False, description="Detect speech first and skip the rest, where the model can.")


class SeparateRequest(Request):
    """A mixture into its stems."""

    task: Literal["separate"] = "separate"
    file: FileRef
    stems: list[Name] | None = Field(None, min_length=1, max_length=8, description="Absent: all.")
    two_stems: Name | None = Field(None, description="This stem, and everything else as one.")
    shifts: int = Field(1, ge=0, le=20, description="Random shifts averaged; more is slower and better.")
    overlap: float = Field(0.25, ge=0, lt=1, description="Overlap between segments, as a fraction.")
    segment: float | None = Field(
        None, gt=0, le=600, description="Seconds that the model hears at a time; its own length if absent."
    )
    format: AudioFormat = "wav"


class GenerateMusicRequest(Request):
    """Text, or text and audio, to music."""

    task: Literal["generate_music"] = "generate_music"
    prompt: str = Field("", max_length=4096, description="Empty: unconditional, where the model can.")
    duration: float = Field(10.0, ge=0.5, le=600, description="Seconds of audio.")
    lyrics: str | None = Field(None, max_length=16_384)
    bpm: int | None = Field(None, ge=30, le=300)
    key: str | None = Field(None, max_length=32, examples=["C major"])
    time_signature: str | None = Field(None, max_length=8, examples=["4/4"])
    file: FileRef | None = None
    temperature: float | None = Field(None, ge=0.01, le=2)
    top_k: int | None = Field(None, ge=0, le=1000)
    top_p: float | None = Field(None, ge=0, le=1)
    guidance_scale: float | None = Field(None, ge=1, le=15)
    do_sample: bool = True
    seed: Seed | None = None
    format: AudioFormat = "wav"


class SpeakRequest(Request):
    """Text to one voice."""

    task: Literal["speak"] = "speak"
    text: str = Field(min_length=1, max_length=20_000)
    voice: Name | None = Field(
        None,
        description="One of the model's, or a recorded one; its default if absent, or if it is not there.",
    )
    speed: float = Field(1.0, ge=0.25, le=4, description="1 is the voice's natural pace.")
    seed: Seed | None = None
    format: AudioFormat = "wav"
    parameters: Parameters = Field(default_factory=dict, description="The model's own parameters.")


class Turn(BaseModel):
    """One speaker's words in a dialogue."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=20_000)
    voice: Name | None = None


class DialogueRequest(Request):
    """Several voices in turn, as one recording."""

    task: Literal["dialogue"] = "dialogue"
    turns: list[Turn] = Field(min_length=1, max_length=256)
    seed: Seed | None = None
    format: AudioFormat = "wav"
    parameters: Parameters = Field(default_factory=dict, description="The model's own parameters.")


class AnalyzePitchRequest(Request):
    """Audio to its key, pitches and chroma."""

    task: Literal["analyze_pitch"] = "analyze_pitch"
    file: FileRef


class DescribeRequest(Request):
    """Audio to words about it."""

    task: Literal["describe"] = "describe"
    file: FileRef
    instruction: str | None = Field(None, max_length=4096)


class PipelineRequest(Request):
    """A named pipeline of several models."""

    task: Literal["pipeline"] = "pipeline"
    pipeline: Name
    text: str | None = Field(None, max_length=65_536)
    file: FileRef | None = None
    output: Name | None = None
    parameters: Parameters = Field(default_factory=dict)


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
    """Keep a recording as a voice."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w][\w .-]*$")] = Field(
        description="Its id from now on: letters, digits, blanks, dots, dashes and underscores."
    )
    file: FileRef
    transcript: str | None = Field(
        None, min_length=1, max_length=4096, description="What is said in it; some models need it."
    )


def voices_named(request: Request) -> dict[str, str]:
    """The voices that a request names, by field."""
    named: dict[str, str | None] = {}
    if isinstance(request, SpeakRequest):
        named = {"voice": request.voice}
    elif isinstance(request, DialogueRequest):
        named = {f"turns.{index}.voice": turn.voice for index, turn in enumerate(request.turns)}
    return {field: voice for field, voice in named.items() if voice is not None}


def file_references(request: Request) -> list[str]:
    """Ids of the files and artifacts that a request reads, besides its parent."""
    file = getattr(request, "file", None)
    voices = [voice for voice in voices_named(request).values() if is_item_id(voice)]
    return [*([file] if file else []), *dict.fromkeys(voices)]


def is_item_id(text: str) -> bool:
    """Whether a text has the form of a file's or an artifact's id."""
    return re.fullmatch(r"(file|art)_[0-9a-f]{32}", text) is not None
