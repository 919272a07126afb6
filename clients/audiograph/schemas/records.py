"""Records of what the server keeps: files, artifacts, jobs, events, models, health."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from audiograph.schemas.requests import Name, TaskName
from audiograph.schemas.results import AnyResult, Record

JobStatus = Literal["queued", "running", "succeeded", "failed", "canceled"]
Weights = Literal["pretrained", "random", "none"]
EventType = Literal["started", "progress", "partial", "retrying", "succeeded", "failed", "canceled"]

FINAL_STATUSES: frozenset[str] = frozenset({"succeeded", "failed", "canceled"})


class File(Record):
    """An upload. The audio fields are measured by decoding, never taken from the header."""

    id: str
    name: str
    media_type: str
    bytes: int
    sha256: str
    url: str
    created_at: datetime
    duration: float | None = None
    sample_rate: int | None = None
    channels: int | None = None


class Artifact(File):
    """A file that a job made, with where it came from."""

    job_id: str | None = None
    task: str | None = None
    model: str | None = None
    variant: str | None = None
    weights: Weights | None = None
    creator: str | None = None
    parent_id: str | None = None
    variation_set_id: str | None = None
    tags: list[str] = Field(default_factory=list)
    parameters: dict[str, Any] = Field(default_factory=dict)


class JobError(Record):
    """Why a job failed, kept for as long as the job is."""

    code: str
    message: str
    stage: str | None = None
    attempt: int | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Timings(Record):
    """Where a finished job's time went, in seconds; real-time factor is ``run / audio_seconds``."""

    queue: float = Field(description="Waiting in the model's replica for its turn.")
    load: float = Field(description="Loading the variant, if it was not.")
    run: float
    audio_seconds: float | None = Field(None, description="Audio heard or made.")


class JobUrls(Record):
    """Where to go from here."""

    self: str
    events: str
    cancel: str


class Job(Record):
    """One request's durable life, from queued to one of the final statuses."""

    id: str
    task: TaskName
    model: str | None = None
    variant: str | None = None
    weights: Weights | None = None
    status: JobStatus
    progress: float = 0.0
    stage: str | None = None
    eta_seconds: float | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: AnyResult | None = None
    artifacts: list[Artifact] = Field(default_factory=list)
    error: JobError | None = None
    timings: Timings | None = None
    attempts: int = 0
    priority: int = 5
    client_job_id: str | None = None
    urls: JobUrls

    @property
    def finished(self) -> bool:
        """Whether the status is final."""
        return self.status in FINAL_STATUSES


class JobEvent(Record):
    """One entry of a job's event stream. ``id`` is opaque: hand it back as ``Last-Event-ID`` to resume.

    After a crash a job runs again from its last completed step: ``attempt`` rises and progress may go back.
    """

    id: str
    type: EventType
    job_id: str
    attempt: int = 1
    progress: float | None = None
    stage: str | None = None
    eta_seconds: float | None = None
    message: str | None = None
    data: dict[str, Any] | None = Field(None, description="A part of the result, for events of type partial.")
    job: Job | None = Field(None, description="The whole job, in the final event alone.")
    created_at: datetime


class Voice(Record):
    """A voice that a model can speak with."""

    id: str
    name: str
    language: str | None = None
    gender: str | None = None


class VoiceInfo(Voice):
    """A voice, and which models can speak with it."""

    source: Literal["built-in", "uploaded", "folder"]
    models: list[str] = Field(default_factory=list)
    transcript: str | None = Field(None, description="What is said in a recording, where it is known.")
    artifact: Artifact | None = Field(None, description="The recording, trimmed and at one loudness.")
    created_at: datetime | None = None


class VoiceList(Record):
    """Every voice of the server."""

    object: Literal["list"] = "list"
    data: list[VoiceInfo]


class LoadedVariant(Record):
    """A variant in a replica's memory."""

    variant: str
    weights: Weights
    bytes: int = Field(description="Device memory that it took when loaded, measured.")
    users: int = Field(description="Requests running on it now.")
    idle_seconds: float


class Replica(Record):
    """One process that serves a model."""

    id: str
    device: str
    memory_bytes: int = Field(description="Device memory in use (resident memory of the process on a CPU).")
    memory_limit_bytes: int | None = None
    ongoing: int
    loaded: list[LoadedVariant]


class ModelInfo(Record):
    """A configured model, in the shape of OpenAI's model list with Audiograph's own keys beside."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "audiograph"
    tasks: list[TaskName]
    variants: list[str]
    default_variant: str
    weights: Weights
    available: bool = True
    message: str | None = Field(None, description="What is missing, if not available.")
    voices: list[Voice] = Field(default_factory=list)
    replicas: list[Replica] = Field(default_factory=list)


class LoadRequest(BaseModel):
    """Which variant to load or unload; the model's default if absent, every variant for an unload."""

    model_config = ConfigDict(extra="forbid")

    variant: Name | None = None


class ReplicaChange(Record):
    """What a load or unload did on one replica."""

    replica: str
    changed: bool
    variants: list[str]
    bytes: int = Field(description="Device memory taken (load) or given back (unload), measured.")
    message: str | None = None


class LoadReport(Record):
    """What a load or unload did. The wish is stored, so replicas that start later follow it."""

    model: str
    action: Literal["load", "unload"]
    variant: str | None
    replicas: list[ReplicaChange]
    bytes: int


class JobPage(Record):
    """Newest first; pass ``next_cursor`` as ``cursor`` for the page after."""

    object: Literal["list"] = "list"
    data: list[Job]
    next_cursor: str | None = None


class ArtifactPage(Record):
    """Newest first; pass ``next_cursor`` as ``cursor`` for the page after."""

    object: Literal["list"] = "list"
    data: list[Artifact]
    next_cursor: str | None = None


class ModelList(Record):
    """Every configured model."""

    object: Literal["list"] = "list"
    data: list[ModelInfo]


class Health(Record):
    """The ingress is alive."""

    status: Literal["ok"] = "ok"
    version: str


class Dependency(Record):
    """Something the server stands on."""

    name: str
    ok: bool
    required: bool
    message: str | None = None


class Readiness(Record):
    """Whether work can be taken now. Dependencies that are not required never make it false."""

    ready: bool
    dependencies: list[Dependency]
