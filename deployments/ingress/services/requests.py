"""Translates the bodies of ``/services/{model}`` into native requests, runs them and exports their audio."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request as HttpRequest

from audiograph._patterns import reason
from audiograph._wording import shown
from audiograph.errors import InvalidRequest, RequestError
from audiograph.schemas import Artifact, DialogueRequest, Job, SpeakRequest, Turn
from audiograph.schemas.requests import Name, Parameters, Seed
from deployments.config import AppConfig
from deployments.ingress.backend import Backend
from deployments.ingress.services.job import run_job
from deployments.storage.exports import Export, resolve_export
from deployments.storage.safe_paths import relative_to

Checked = TypeVar("Checked")
Text = Annotated[str, Field(min_length=1, max_length=20_000)]

_FIELDS = ((re.compile(r"^turns\b"), "inputs"), (re.compile(r"\bvoice$"), "voice_id"))
"""The caller's names of native fields, by their patterns."""
_SEED: TypeAdapter[int | None] = TypeAdapter(Seed | None)
_VOICE: TypeAdapter[str | None] = TypeAdapter(Name | None)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    output_filepath: str = Field(max_length=4096)
    """Path in the server's exports folder; .wav, .mp3, .flac, .opus or .aac sets the format."""
    parameters: Parameters = Field(default_factory=dict)
    """``seed``, and the model's own parameters."""


class SpeechBody(_Body):
    """A text to speak, and the file to write."""

    text: Text
    """Text to speak."""


class DialogueInput(BaseModel):
    """One turn of a dialogue."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    text: Text
    """Text to speak."""
    voice_id: str | None = Field(None, max_length=4096)
    """As in text-to-speech, but not URL-encoded."""


class DialogueBody(_Body):
    """The turns of a dialogue, and the file to write."""

    inputs: list[DialogueInput] = Field(min_length=1, max_length=256)
    """Turns in order of time."""


def speech_request(model: str, voice_id: str, body: SpeechBody, config: AppConfig) -> SpeakRequest:
    """Translate a text to speak into a native request, without its format.

    Raises:
        InvalidRequest: the seed or the voice's id is invalid.
    """
    seed, parameters = _parameters(body)
    voice = _voice(voice_id, "voice_id", config)
    return SpeakRequest(model=model, text=body.text, voice=voice, seed=seed, parameters=parameters)


def dialogue_request(model: str, body: DialogueBody, config: AppConfig) -> DialogueRequest:
    """Translate a dialogue into a native request, without its format.

    Raises:
        InvalidRequest: the seed or a voice's id is invalid.
    """
    seed, parameters = _parameters(body)
    turns = [
        Turn(text=part.text, voice=_voice(part.voice_id, f"inputs.{index}.voice_id", config))
        for index, part in enumerate(body.inputs)
    ]
    return DialogueRequest(model=model, turns=turns, seed=seed, parameters=parameters)


async def run_and_export(
    request: SpeakRequest | DialogueRequest,
    output_filepath: str,
    backend: Backend,
    http_request: HttpRequest,
) -> str:
    """Run a request as a job, write its audio to a file, and return the message for the caller.

    Raises:
        InvalidRequest: the file is not in the exports folder, or the model refuses the request.
        AudiographError: the job could not be submitted, or failed.
    """
    folder = backend.config.exports.folder
    target = await asyncio.to_thread(resolve_export, folder, output_filepath, "output_filepath")
    request = request.model_copy(update={"format": target.format})
    with _callers_fields():
        limit = backend.config.jobs.time_limit_seconds
        job = await run_job(request, http_request, backend.queue, limit)
    audio = next(artifact for artifact in job.artifacts if artifact.media_type.startswith("audio/"))
    await asyncio.to_thread(_write, backend, audio, target)
    return _message(job, audio)


@contextmanager
def _callers_fields() -> Iterator[None]:
    """Rename the native API's fields in errors to those of the caller."""
    try:
        yield
    except RequestError as error:
        if field := error.field:
            for native, name in _FIELDS:
                field = native.sub(name, field)
            error.name_field(field)
        raise


def _write(backend: Backend, audio: Artifact, target: Export) -> None:
    target.write(backend.store.read(audio.id))


def _message(job: Job, audio: Artifact) -> str:
    done = f"job {job.id} generated {audio.duration:.2f} s of audio at {audio.sample_rate} Hz"
    random = ["the model has random weights, which generate noise"] if job.weights == "random" else []
    notes = job.result.notes if job.result else []
    return "; ".join(part.rstrip(".") for part in [done, *random, *notes])


def _parameters(body: _Body) -> tuple[int | None, dict[str, Any]]:
    """Split a body's parameters into the seed and the model's own."""
    seed = _checked(_SEED, body.parameters.get("seed"), "parameters.seed")
    return seed, {name: value for name, value in body.parameters.items() if name != "seed"}


def _voice(voice_id: str | None, field: str, config: AppConfig) -> str | None:
    """Translate a voice's id into the native API's; None for the default voice."""
    folder = config.voices.folder
    voice = relative_to(folder, voice_id) if folder and voice_id else voice_id
    return _checked(_VOICE, voice or None, field)


def _checked(kind: TypeAdapter[Checked], value: Any, field: str) -> Checked:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        fault = reason(error.errors()[0])
        message = f"field {field!r}: {fault[:1].lower()}{fault[1:]}, not {shown(value)}"
        raise InvalidRequest(message, field=field) from None
