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
    """Id, `file_` and 32 hexadecimal digits; of an artifact, `art_`."""
    name: str
    """File name."""
    media_type: str
    """Media type, detected from the content."""
    bytes: int
    """Size in bytes."""
    sha256: str
    """SHA-256 of the content, in hexadecimal."""
    url: str
    """URL of the content."""
    created_at: datetime
    """Time of the upload, or of the artifact's creation."""
    duration: float | None = None
    """Duration in seconds; null if it is not audio."""
    sample_rate: int | None = None
    """Sample rate in Hz; null if it is not audio."""
    channels: int | None = None
    """Number of channels; null if it is not audio."""
    offset: float | None = None
    """Seconds from the beginning of the file, such as that of its picture, to the beginning of its sound."""
    track: int | None = None
    """Number of the audio track that is heard, from 1; null if it is not audio."""
    notes: list[str] = Field(default_factory=list)
    """Sentences on the audio: the track that was chosen, gaps, changes midway, channels that cancel out."""


class Artifact(File):
    """A file that a job produced, with its provenance."""

    job_id: str | None = None
    """Job that produced it."""
    task: str | None = None
    """Task of that job."""
    model: str | None = None
    """Model that produced it."""
    variant: str | None = None
    """Variant of the model."""
    weights: Weights | None = None
    """Kind of the model's weights."""
    creator: str | None = None
    """Creator in the request."""
    parent_id: str | None = None
    """Artifact that this one derives from."""
    variation_set_id: str | None = None
    """Id shared by alternative takes."""
    tags: list[str] = Field(default_factory=list)
    """Tags in the request."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Fields of the request, beyond those that all tasks have."""


class JobError(Record):
    """Why a job failed; stored as long as the job."""

    code: str
    """For programs: one code for each class of audiograph.errors."""
    message: str
    """For people: names the field, the value and the cure."""
    field: str | None = None
    """Field of the request, if one is at fault."""
    stage: str | None = None
    """Stage in which the job failed."""
    attempt: int | None = None
    """Number of the attempt that failed."""
    details: dict[str, Any] = Field(default_factory=dict)
    """Values behind the message, by name."""


class Timings(Record):
    """Durations of a finished job's phases, in seconds; the real-time factor is ``run / audio_seconds``."""

    queue: float
    """Waiting in the queue of the model's replica."""
    load: float
    """Loading the variant, if it was not loaded."""
    run: float
    """Time in the model."""
    audio_seconds: float | None = None
    """Audio read or produced."""


class JobUrls(Record):
    """URLs of a job."""

    self: str
    """The job."""
    events: str
    """Its event stream."""
    cancel: str
    """POST here to cancel it."""


class Job(Record):
    """One request and its state, from queued to a final status."""

    id: str
    """Id of the job, a UUID."""
    task: TaskName
    """Task of the request."""
    model: str | None = None
    """Model that runs it."""
    variant: str | None = None
    """Variant of the model."""
    weights: Weights | None = None
    """Kind of the model's weights, once it has succeeded."""
    status: JobStatus
    """`queued`, `running`, or final: `succeeded`, `failed` or `canceled`."""
    progress: float = 0.0
    """From 0 to 1."""
    stage: str | None = None
    """Current stage, such as `loading` or `transcribing`; of a failed job, its last one."""
    eta_seconds: float | None = None
    """Estimated remaining time in seconds, while it runs."""
    created_at: datetime
    """Time of the submission."""
    started_at: datetime | None = None
    """Time at which a runner took it."""
    finished_at: datetime | None = None
    """Time of its final status."""
    result: AnyResult | None = None
    """The task's result, once it has succeeded."""
    artifacts: list[Artifact] = Field(default_factory=list)
    """Files that it produced."""
    error: JobError | None = None
    """The error, if it failed."""
    timings: Timings | None = None
    """Durations of its phases, once it has succeeded."""
    attempts: int = 0
    """Number of attempts so far; more than 1 after a crash."""
    priority: int = 5
    """1 runs first, 9 last."""
    client_job_id: str | None = None
    """The caller's own id."""
    urls: JobUrls
    """URLs of the job."""

    @property
    def finished(self) -> bool:
        """Whether the status is final."""
        return self.status in FINAL_STATUSES


class JobEvent(Record):
    """One entry of a job's event stream. ``id`` is opaque: send it as ``Last-Event-ID`` to resume the stream.

    After a crash a job runs again from its last completed step: ``attempt`` rises, and ``progress`` may fall.
    """

    id: str
    """Position in the stream; `final` for the last event."""
    type: EventType
    """Kind of the event; the last three are final."""
    job_id: str
    """The job."""
    attempt: int = 1
    """Number of the attempt."""
    progress: float | None = None
    """From 0 to 1."""
    stage: str | None = None
    """Current stage."""
    eta_seconds: float | None = None
    """Estimated remaining time in seconds."""
    message: str | None = None
    """The error's message, of a failed job."""
    data: dict[str, Any] | None = None
    """A part of the result, in events of type partial."""
    job: Job | None = None
    """The whole job, in the final event only."""
    created_at: datetime
    """Time of the event."""


class Voice(Record):
    """A voice that a model can speak with."""

    id: str
    """Value for `voice` in a request."""
    name: str
    """Name for display."""
    language: str | None = None
    """Language code, if known."""
    gender: str | None = None
    """Gender, if known."""


class VoiceInfo(Voice):
    """A voice, and the models that can speak with it."""

    source: Literal["built-in", "uploaded", "folder"]
    """Built into a model, uploaded, or a recording in the voices folder."""
    models: list[str] = Field(default_factory=list)
    """Models that can speak with it."""
    transcript: str | None = None
    """The words of a recording, if known."""
    artifact: Artifact | None = None
    """The recording, trimmed and normalized in loudness."""
    created_at: datetime | None = None
    """Time of the upload."""


class VoiceList(Record):
    """All voices of the server."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[VoiceInfo]
    """The voices."""


class WeightsOrigin(Record):
    """One file or repository of published weights."""

    name: str
    """Its name, such as `whisper/base.pt` or `facebook/musicgen-small`."""
    source: str | None = None
    """`hub`, `package index`, or `cache` if it was there before; null if it is not on this machine."""
    detail: str | None = None
    """The address, the packages or the path."""
    digest: str | None = None
    """The publisher's `sha256:…`, which was compared, or the `revision:…` of a repository."""
    licence: str
    """The licence of the weights."""


class VariantWeights(Record):
    """The weights of a variant: those that are loaded, or those that would be."""

    variant: str
    """Name of the variant."""
    weights: Weights
    """Kind of the weights."""
    origins: list[WeightsOrigin] = Field(default_factory=list)
    """The published files and repositories that it consists of."""


class LoadedVariant(VariantWeights):
    """A variant in the memory of a replica."""

    bytes: int
    """Device memory that loading it took, measured."""
    users: int
    """Requests that run on it now."""
    idle_seconds: float
    """Seconds since its last use; 0 while it is in use."""


class Replica(Record):
    """One process that serves a model."""

    id: str
    """Id of the replica."""
    device: str
    """`cpu` or `cuda`."""
    memory_bytes: int
    """Device memory in use; on a CPU, the resident memory of the process."""
    memory_limit_bytes: int | None = None
    """Memory budget of loaded variants; null without a limit."""
    ongoing: int
    """Requests in the replica now, waiting ones included."""
    loaded: list[LoadedVariant]
    """Variants in its memory."""


class ModelInfo(Record):
    """A configured model: the keys of OpenAI's model list, and Audiograph's own."""

    id: str
    """Name of the model in the configuration."""
    object: Literal["model"] = "model"
    """Always `model`."""
    created: int
    """Start of the server, in seconds since the epoch."""
    owned_by: str = "audiograph"
    """Always `audiograph`."""
    tasks: list[TaskName]
    """Tasks that it serves."""
    variants: list[str]
    """Its variants."""
    default_variant: str
    """Variant of requests that name none."""
    weights: Weights
    """Kind of the loaded weights, or of those that would be loaded."""
    variant_weights: list[VariantWeights] = Field(default_factory=list)
    """The weights of each variant, and where they came from."""
    available: bool = True
    """Whether everything that it needs is installed."""
    message: str | None = None
    """The reason, if not available."""
    voices: list[Voice] = Field(default_factory=list)
    """Its built-in voices."""
    replicas: list[Replica] = Field(default_factory=list)
    """Its live replicas; none if it is scaled to zero."""


class LoadRequest(BaseModel):
    """The variant to load or unload. If absent, the default variant is loaded, or every variant unloaded."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    variant: Name | None = None
    """Name of the variant."""


class ReplicaChange(Record):
    """Effect of a load or unload on one replica."""

    replica: str
    """Id of the replica."""
    changed: bool
    """Whether a variant was loaded or unloaded."""
    variants: list[str]
    """Variants that were loaded or unloaded."""
    bytes: int
    """Device memory allocated (load) or freed (unload), measured."""
    message: str | None = None
    """The reason, if nothing changed."""


class LoadReport(Record):
    """Effect of a load or unload. The desired state is stored, and applies to replicas that start later."""

    model: str
    """Name of the model."""
    action: Literal["load", "unload"]
    """The action."""
    variant: str | None
    """Variant of the request; null for all."""
    replicas: list[ReplicaChange]
    """Effect on each live replica."""
    bytes: int
    """Sum of the bytes of all replicas."""


class JobPage(Record):
    """One page of jobs, newest first; pass ``next_cursor`` as ``cursor`` to get the next page."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[Job]
    """The jobs."""
    next_cursor: str | None = None
    """`cursor` of the next page; null on the last one."""


class ArtifactPage(Record):
    """One page of artifacts, newest first; pass ``next_cursor`` as ``cursor`` to get the next page."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[Artifact]
    """The artifacts."""
    next_cursor: str | None = None
    """`cursor` of the next page; null on the last one."""


class ModelList(Record):
    """All configured models."""

    object: Literal["list"] = "list"
    """Always `list`."""
    data: list[ModelInfo]
    """The models."""


class Health(Record):
    """The server is alive."""

    status: Literal["ok"] = "ok"
    """Always `ok`."""
    version: str
    """Version of the server."""


class Dependency(Record):
    """A dependency of the server, such as its database."""

    name: str
    """Name of the dependency."""
    ok: bool
    """Whether it is available."""
    required: bool
    """Whether the server needs it to accept work."""
    message: str | None = None
    """The reason, if it is not available."""


class Readiness(Record):
    """Whether the server accepts work. An optional dependency never makes ``ready`` false."""

    ready: bool
    """Whether all required dependencies are available."""
    dependencies: list[Dependency]
    """Every dependency."""
