"""The bodies of ``/services/{model}`` as native requests, and what becomes of them."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request as HttpRequest

from audiograph.errors import InvalidAudio, InvalidRequest
from audiograph.schemas import Artifact, DialogueRequest, Job, Request, SpeakRequest, Turn, voices_named
from audiograph.schemas.requests import Name, Parameters, Seed
from deployments.config import AppConfig
from deployments.ingress.backend import Services
from deployments.ingress.http.validation import shown
from deployments.ingress.services.job import succeeded
from deployments.storage.confined import relative_to
from deployments.storage.exports import Export, export

Checked = TypeVar("Checked")
Text = Annotated[str, Field(min_length=1, max_length=20_000)]

_TURN = re.compile(r"\bturns\.(\d+)\.(text|voice)\b")
_SEED: TypeAdapter[int | None] = TypeAdapter(Seed | None)
_VOICE: TypeAdapter[str | None] = TypeAdapter(Name | None)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    output_filepath: str = Field(
        max_length=4096,
        description="In the server's exports folder; .wav, .mp3, .flac, .opus or .aac chooses the format.",
    )
    parameters: Parameters = Field(default_factory=dict, description="``seed``, and the model's own.")


class SpeechBody(_Body):
    """What to say, and into which file."""

    text: Text


class DialogueInput(BaseModel):
    """One speaker's words."""

    model_config = ConfigDict(extra="forbid")

    text: Text
    voice_id: str | None = Field(
        None, max_length=4096, description="As in text-to-speech, but not URL-encoded."
    )


class DialogueBody(_Body):
    """Who says what in turn, and into which file."""

    inputs: list[DialogueInput] = Field(min_length=1, max_length=256)


def speech_request(model: str, voice_id: str, body: SpeechBody, config: AppConfig) -> SpeakRequest:
    """A text to be spoken, as the native API asks for it; the format is still open.

    Raises:
        InvalidRequest: the seed or the voice's id cannot be one.
    """
    seed, parameters = _parameters(body)
    voice = _voice(voice_id, "voice_id", config)
    return SpeakRequest(model=model, text=body.text, voice=voice, seed=seed, parameters=parameters)


def dialogue_request(model: str, body: DialogueBody, config: AppConfig) -> DialogueRequest:
    """A dialogue, as the native API asks for it; the format is still open.

    Raises:
        InvalidRequest: the seed or a voice's id cannot be one.
    """
    seed, parameters = _parameters(body)
    turns = [
        Turn(text=part.text, voice=_voice(part.voice_id, f"inputs.{index}.voice_id", config))
        for index, part in enumerate(body.inputs)
    ]
    return DialogueRequest(model=model, turns=turns, seed=seed, parameters=parameters)


async def made(asked: Request, output_filepath: str, services: Services, http: HttpRequest) -> str:
    """Have a job do what is asked, write its audio to the file, and tell of it.

    Raises:
        InvalidRequest: the file is none of the exports folder, or the model refuses what is asked.
        AudiographError: the job could not be submitted, or failed.
    """
    target = await asyncio.to_thread(
        export, services.config.exports.folder, output_filepath, "output_filepath"
    )
    asked = asked.model_copy(update={"format": target.format})
    with _fields_as_asked():
        asked, notes = await asyncio.to_thread(_without_invalid_voices, asked, services)
        job = await succeeded(asked, http, services.queue, services.config.jobs.time_limit_seconds)
    audio = next(artifact for artifact in job.artifacts if artifact.media_type.startswith("audio/"))
    await asyncio.to_thread(_write, services, audio, target)
    return _message(job, audio, notes)


@contextmanager
def _fields_as_asked() -> Iterator[None]:
    """Refusals name the native API's fields; the caller knows those of a `DialogueBody`."""
    try:
        yield
    except InvalidRequest as error:
        error.message, error.field = _as_asked(error.message), error.field and _as_asked(error.field)
        raise


def _as_asked(text: str) -> str:
    names = {"text": "text", "voice": "voice_id"}
    return _TURN.sub(lambda found: f"inputs.{found[1]}.{names[found[2]]}", text)


def _write(services: Services, audio: Artifact, target: Export) -> None:
    target.write(services.store.read(audio.id))


def _without_invalid_voices(asked: Request, services: Services) -> tuple[Request, list[str]]:
    """The default voice speaks for files that can be no voices, as it does for those that are not there."""
    asked = services.registry.resolve(asked)
    model = services.registry.model(asked.model or "")
    faults: dict[str, str] = {}
    for voice in voices_named(asked).values() if model.clones_voices else ():
        try:
            services.voices.find(voice)
        except InvalidAudio as error:
            faults[voice] = f"voice {voice!r} cannot be used, as {error}: the default voice speaks instead"
    return model.without_voices(asked, faults), [*faults.values()]


def _message(job: Job, audio: Artifact, notes: list[str]) -> str:
    done = f"job {job.id} made {audio.duration:.2f} s of audio at {audio.sample_rate} Hz"
    random = ["the model has random weights, which make noise"] if job.weights == "random" else []
    told = job.result.notes if job.result else []
    return "; ".join(part.rstrip(".") for part in [done, *random, *notes, *told])


def _parameters(body: _Body) -> tuple[int | None, dict[str, Any]]:
    """The seed, and the other parameters."""
    seed = _checked(_SEED, body.parameters.get("seed"), "parameters.seed")
    return seed, {name: value for name, value in body.parameters.items() if name != "seed"}


def _voice(voice_id: str | None, field: str, config: AppConfig) -> str | None:
    """A voice as the native API names it; None for the default one."""
    folder = config.voices.folder
    voice = relative_to(folder, voice_id) if folder and voice_id else voice_id
    return _checked(_VOICE, voice or None, field)


def _checked(kind: TypeAdapter[Checked], value: Any, field: str) -> Checked:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]["msg"]
        message = f"field {field!r}: {fault[:1].lower()}{fault[1:]}, not {shown(value)}"
        raise InvalidRequest(message, field=field) from None
