"""Messages between a caller and a model's replica.

They are plain data, which every Python environment of a replica can read and a job's step can store as JSON.
A call answers with a stream of messages: any number of `Progress` and `Partial`, then one `Result` or
`Failure`.
"""

from typing import Any, Literal, TypedDict

from audiograph.schemas import ANY_REQUEST, Request, TaskName, Weights


class Call(TypedDict):
    """One request to a replica."""

    request: dict[str, Any]
    """From `serialize`; model and variant are filled in."""
    job_id: str
    attempt: int
    """Number of this try of the job, from 1."""
    return_audio: bool
    """Return the audio in the result instead of storing it as artifacts."""


class Progress(TypedDict):
    """How far a run is. A replica sends at most four per second."""

    type: Literal["progress"]
    progress: float
    """From 0 to 1."""
    stage: str | None
    eta_seconds: float | None


class Partial(TypedDict):
    """A part of the result that is known already, such as a segment of a transcription."""

    type: Literal["partial"]
    data: dict[str, Any]


class Audio(TypedDict):
    """Audio that is returned and not stored."""

    samples: bytes
    """Float32, little-endian, ``[frames, channels]``."""
    sample_rate: int
    """Hz."""
    channels: int


class Timings(TypedDict):
    """Where a run's time went, in seconds."""

    queue: float
    """From arrival in the replica to the start of the run, without loading."""
    load: float
    run: float
    audio_seconds: float | None
    """Duration of the audio that was read or generated."""


class Result(TypedDict):
    """The last message of a successful run."""

    type: Literal["result"]
    result: dict[str, Any]
    """The task's result record, as JSON."""
    artifacts: list[str]
    """Ids of the stored files, in the model's order; empty with `Call.return_audio`."""
    audio: Audio | None
    """Set with `Call.return_audio` alone."""
    weights: Weights
    timings: Timings


class Failure(TypedDict):
    """The last message of a failed run."""

    type: Literal["failure"]
    error: dict[str, Any]
    """From `audiograph.errors.AudiographError.to_wire`."""


Event = Progress | Partial
Message = Progress | Partial | Result | Failure


def new_call(request: Request, *, job_id: str, attempt: int, return_audio: bool = False) -> Call:
    """Build the call for a resolved request."""
    return {
        "request": serialize(request),
        "job_id": job_id,
        "attempt": attempt,
        "return_audio": return_audio,
    }


def request_of(call: Call) -> Request:
    """Parse the request of a call.

    Raises:
        pydantic.ValidationError: a field is unknown, missing or out of range.
    """
    return ANY_REQUEST.validate_python(call["request"])


def serialize(request: Request) -> dict[str, Any]:
    """Dump the fields that the caller set to JSON; artifacts record these as their parameters."""
    return {"task": task_of(request), **request.model_dump(mode="json", exclude_unset=True)}


def task_of(request: Request) -> TaskName:
    """Return the task of a concrete request."""
    task: TaskName = request.task  # type: ignore[attr-defined]  # every class of AnyRequest has one
    return task
