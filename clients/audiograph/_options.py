"""The keyword arguments of the convenience methods, and the request that they make.

The fields are those of the request classes in `audiograph.schemas`, where each has its range, unit and
default. Left out here, a field is left out of the request, and the server's default holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, get_args

from pydantic import ValidationError

from audiograph.errors import InvalidRequest
from audiograph.schemas import ANY_REQUEST, AnyRequest, AudioFormat, JobEvent, TaskName


class RunOptions(TypedDict, total=False):
    """How to run a job, beside what the job is."""

    wait: bool
    """Return when the job has ended (the default), or as soon as it is queued."""
    timeout: float | None
    """Seconds to wait at most; then WaitTimeout is raised and the job goes on."""
    on_progress: Callable[[JobEvent], object] | None
    """Called with each event while waiting."""
    idempotency_key: str | None
    """The same key gives the same job; by default each call has a new one."""


class CommonOptions(RunOptions, total=False):
    """Fields of every request."""

    model: str | None
    variant: str | None
    priority: int
    time_limit: float | None
    tags: Sequence[str]
    creator: str | None
    parent_id: str | None
    variation_set_id: str | None
    client_job_id: str | None


class TranscribeOptions(CommonOptions, total=False):
    """Fields of `TranscribeRequest`."""

    language: str | None
    prompt: str | None
    temperature: float | None
    word_timestamps: bool
    translate: bool
    vad: bool


class SeparateOptions(CommonOptions, total=False):
    """Fields of `SeparateRequest`."""

    stems: Sequence[str] | None
    two_stems: str | None
    shifts: int
    overlap: float
    segment: float | None
    format: AudioFormat


class GenerateMusicOptions(CommonOptions, total=False):
    """Fields of `GenerateMusicRequest`."""

    duration: float
    lyrics: str | None
    bpm: int | None
    key: str | None
    time_signature: str | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    guidance_scale: float | None
    do_sample: bool
    seed: int | None
    format: AudioFormat


class DialogueOptions(CommonOptions, total=False):
    """Fields of `DialogueRequest`."""

    seed: int | None
    format: AudioFormat
    parameters: dict[str, Any]


class SpeakOptions(DialogueOptions, total=False):
    """Fields of `SpeakRequest`."""

    voice: str | None
    speed: float


class AnalyzePitchOptions(CommonOptions, total=False):
    """Fields of `AnalyzePitchRequest`."""


class DescribeOptions(CommonOptions, total=False):
    """Fields of `DescribeRequest`."""

    instruction: str | None


def split(options: Mapping[str, Any]) -> tuple[RunOptions, dict[str, Any]]:
    """How to run the job, and the fields of its request."""
    run = RunOptions(**{key: options[key] for key in options if key in RunOptions.__annotations__})  # type: ignore[typeddict-item]
    return run, {key: options[key] for key in options if key not in RunOptions.__annotations__}


def build_request(task: TaskName, fields: dict[str, Any]) -> AnyRequest:
    """Make the task's request, checked before anything is sent.

    Raises:
        InvalidRequest: with the field, the value and what would be right.
    """
    try:
        return ANY_REQUEST.validate_python({"task": task, **fields})
    except ValidationError as error:
        raise _invalid(task, error) from error


def body_of(request: AnyRequest) -> dict[str, Any]:
    """The request as JSON without what was left at its default, so that an older server can read it too."""
    return {"task": request.task, **request.model_dump(mode="json", exclude_defaults=True)}


def _invalid(task: str, error: ValidationError) -> InvalidRequest:
    first = error.errors(include_url=False, include_context=False)[0]
    path = [str(part) for part in first["loc"] if part != task]
    if not path:
        return InvalidRequest(
            f"task is {task!r}: it must be one of {', '.join(get_args(TaskName))}", field="task"
        )
    field = ".".join(path)
    given = "" if first["type"] == "missing" else f" (given: {first['input']!r})"
    return InvalidRequest(f"{field}: {first['msg']}{given}", field=field)
