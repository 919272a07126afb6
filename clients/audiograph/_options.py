"""Keyword arguments of the convenience methods, and the requests built from them.

`audiograph.schemas` has the range, unit and default of each field. A field that is left out here is left out
of the request, so the server's default applies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict, get_args

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from audiograph._checks import IdempotencyKey, Seconds, check_callback, checked, invalid
from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import ANY_REQUEST, AnyRequest, AudioFormat, JobEvent, TaskName, Turn


class RunOptions(TypedDict, total=False):
    """Options of submitting a job and waiting for it."""

    wait: bool
    """True (the default) returns the finished job, False the queued one."""
    timeout: float | None
    """Seconds to wait before WaitTimeout is raised; the job keeps running."""
    on_progress: Callable[[JobEvent], object] | None
    """Called with each event while waiting."""
    idempotency_key: str | None
    """Submitting twice with one key creates one job; by default each call has a new key."""


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

    word_timestamps: bool
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


def split_options(options: Mapping[str, Any]) -> tuple[RunOptions, dict[str, Any]]:
    """Separate the run options, which are checked, from the fields of the request.

    Raises:
        InvalidRequest: a run option is invalid; the message names it, its value and the valid range.
        TypeError: ``on_progress`` cannot be called.
    """
    run = RunOptions(**{key: options[key] for key in options if key in RunOptions.__annotations__})  # type: ignore[typeddict-item]
    check_callback(run.get("on_progress"))
    checked(Seconds | None, run.get("timeout"), "timeout")
    checked(IdempotencyKey | None, run.get("idempotency_key") or None, "idempotency_key")
    return run, {key: options[key] for key in options if key not in RunOptions.__annotations__}


def build_request(task: TaskName, fields: dict[str, Any]) -> AnyRequest:
    """Build and validate the request of a task.

    Raises:
        InvalidRequest: a field is invalid; the message names it, its value and the valid range.
    """
    try:
        return ANY_REQUEST.validate_python({"task": task, **fields})
    except ValidationError as error:
        raise _invalid(task, error) from error


def request_body(request: AnyRequest) -> dict[str, Any]:
    """Return a request as JSON, without fields at their default, which an older server may not know.

    Raises:
        InvalidRequest: one of ``parameters`` has no form in JSON, such as NaN or bytes.
    """
    try:
        body = {"task": request.task, **request.model_dump(mode="json", exclude_defaults=True)}
        # Pydantic writes NaN as null, which is another value.
        json.dumps(request.model_dump(exclude_defaults=True), allow_nan=False, default=str).encode()
    except (PydanticSerializationError, TypeError, ValueError) as error:
        given: object = getattr(request, "parameters", request)
        message = f"parameters: not JSON (given: {shown(given)}): {error}"
        raise InvalidRequest(message, field="parameters") from error
    return body


def spoken_turn(turn: Turn | tuple[str, str]) -> object:
    """Return a turn in the form of the request; anything but a turn or a pair is left to its validation."""
    if isinstance(turn, tuple | list) and len(turn) == 2:
        return {"voice": turn[0], "text": turn[1]}
    return turn


def _invalid(task: object, error: ValidationError) -> InvalidRequest:
    if error.errors()[0]["loc"]:
        return invalid(error, skip=1)  # the first part is the task
    choices = ", ".join(get_args(TaskName))
    return InvalidRequest(f"task is {shown(task)}: it must be one of {choices}", field="task")
