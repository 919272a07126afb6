"""Records of the server: files, artifacts, jobs, events, voices, models, health."""

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
    """An uploaded file. The audio fields are measured by decoding it, never taken from its header."""

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
    """A file that a job produced, with its provenance."""

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
    """Why a job failed; stored as long as the job."""

    code: str
    message: str
    stage: str | None = None
    attempt: int | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Timings(Record):
    """Durations of a finished job's phases, in seconds; the real-time factor is ``run / audio_seconds``."""

    queue: float = Field(description="Waiting in the queue of the model's replica.")
    load: float = Field(description="Loading the variant, if it was not loaded.")
    run: float
    audio_seconds: float | None = Field(None, description="Audio read or produced.")


class JobUrls(Record):
    """URLs of a job."""

    self: str
    events: str
    cancel: str


class Job(Record):
    """One request and its state, from queued to a final status."""

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
    """One entry of a job's event stream. ``id`` is opaque: send it as ``Last-Event-ID`` to resume the stream.

    After a crash a job runs again from its last completed step: ``attempt`` rises, and ``progress`` may fall.
    """

    id: str
    type: EventType
    job_id: str
    attempt: int = 1
    progress: float | None = None
    stage: str | None = None
    eta_seconds: float | None = None
    message: str | None = None
    data: dict[str, Any] | None = Field(None, description="A part of the result, in events of type partial.")
    job: Job | None = Field(None, description="The whole job, in the final event only.")
    created_at: datetime


class Voice(Record):
    """A voice that a model can speak with."""

    id: str
    name: str
    language: str | None = None
    gender: str | None = None


class VoiceInfo(Voice):
    """A voice, and the models that can speak with it."""

    source: Literal["built-in", "uploaded", "folder"]
    models: list[str] = Field(default_factory=list)
    transcript: str | None = Field(None, description="The words of a recording, if known.")
    artifact: Artifact | None = Field(None, description="The recording, trimmed and normalized in loudness.")
    created_at: datetime | None = None


class VoiceList(Record):
    """All voices of the server."""

    object: Literal["list"] = "list"
    data: list[VoiceInfo]


class LoadedVariant(Record):
    """A variant in the memory of a replica."""

    variant: str
    weights: Weights
    bytes: int = Field(description="Device memory that loading it took, measured.")
    users: int = Field(description="Requests that run on it now.")
    idle_seconds: float


class Replica(Record):
    """One process that serves a model."""

    id: str
    device: str
    memory_bytes: int = Field(
        description="Device memory in use; on a CPU, the resident memory of the process."
    )
    memory_limit_bytes: int | None = None
    ongoing: int
    loaded: list[LoadedVariant]


class ModelInfo(Record):
    """A configured model: the keys of OpenAI's model list, and Audiograph's own."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "audiograph"
    tasks: list[TaskName]
    variants: list[str]
    default_variant: str
    weights: Weights
    available: bool = True
    message: str | None = Field(None, description="The reason, if not available.")
    voices: list[Voice] = Field(default_factory=list)
    replicas: list[Replica] = Field(default_factory=list)


class LoadRequest(BaseModel):
    """The variant to load or unload. If absent, the default variant is loaded, or every variant unloaded."""

    model_config = ConfigDict(extra="forbid")

    variant: Name | None = None


class ReplicaChange(Record):
    """Effect of a load or unload on one replica."""

    replica: str
    changed: bool
    variants: list[str]
    bytes: int = Field(description="Device memory allocated (load) or freed (unload), measured.")
    message: str | None = None


class LoadReport(Record):
    """Effect of a load or unload. The desired state is stored, and applies to replicas that start later."""

    model: str
    action: Literal["load", "unload"]
    variant: str | None
    replicas: list[ReplicaChange]
    bytes: int


class JobPage(Record):
    """One page of jobs, newest first; pass ``next_cursor`` as ``cursor`` to get the next page."""

    object: Literal["list"] = "list"
    data: list[Job]
    next_cursor: str | None = None


class ArtifactPage(Record):
    """One page of artifacts, newest first; pass ``next_cursor`` as ``cursor`` to get the next page."""

    object: Literal["list"] = "list"
    data: list[Artifact]
    next_cursor: str | None = None


class ModelList(Record):
    """All configured models."""

    object: Literal["list"] = "list"
    data: list[ModelInfo]


class Health(Record):
    """The server is alive."""

    status: Literal["ok"] = "ok"
    version: str


class Dependency(Record):
    """A dependency of the server, such as its database."""

    name: str
    ok: bool
    required: bool
    message: str | None = None


class Readiness(Record):
    """Whether the server accepts work. An optional dependency never makes ``ready`` false."""

    ready: bool
    dependencies: list[Dependency]
