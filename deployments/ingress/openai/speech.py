"""``POST /v1/audio/speech`` for OpenAI's clients: text in, audio out while it is generated."""

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

from fastapi import Body, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from audiograph.errors import InvalidRequest, TimeLimitExceeded
from audiograph.schemas import Name, SpeakRequest
from deployments.audio.encoder import CODECS
from deployments.ingress.backend import Backend, BackendDep
from deployments.ingress.http import errors
from deployments.ingress.http.disconnect import cancel_on_disconnect
from deployments.ingress.http.request_log import add_log_fields
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import StrictRouter
from deployments.ingress.http.streams import PING_SECONDS, UNBUFFERED
from deployments.ingress.openai import examples
from deployments.ingress.openai.coalescing import SingleFlight
from deployments.ingress.openai.errors import ERRORS
from deployments.ingress.openai.names import model_named, voice_named
from deployments.ingress.openai.streaming import SpeechChunk, SpeechChunks, stream_speech, usage
from deployments.jobs.binding import Binding, bind_voices
from deployments.models.sentences import split_text
from deployments.models.voices import transcript_missing

router = StrictRouter(prefix="/v1/audio", tags=["openai"])

NOTES, WEIGHTS = "x-audiograph-notes", "x-audiograph-weights"
"""Headers: a JSON list of ignored or changed fields; and the kind of the model's weights."""

_in_progress: WeakKeyDictionary[Backend, SingleFlight[SpeechChunk]] = WeakKeyDictionary()
"""Streams in progress, by backend: each backend has an event loop of its own."""


def _id_of(voice: Any) -> Any:
    """Replace ``{"id": …}``, OpenAI's form of a custom voice, by its id."""
    return voice["id"] if isinstance(voice, dict) and list(voice) == ["id"] else voice


class CreateSpeechRequest(BaseModel):
    """OpenAI's request for speech, by OpenAI's own name."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    input: str = Field(min_length=1, max_length=4096)
    """Text to speak."""
    model: Name
    """A model that speaks. OpenAI's model names stand for the default speech model."""
    voice: Annotated[Name, BeforeValidator(_id_of)]
    """A voice's name, or ``{"id": name}``. OpenAI's voice names stand for the default voice."""
    instructions: str | None = Field(None, max_length=4096)
    """Ignored; the header x-audiograph-notes says so."""
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    """Format of the audio; pcm is 16-bit, little-endian, mono at the model's sample rate."""
    speed: float = Field(1.0, ge=0.25, le=4)
    """Factor of the voice's natural pace."""
    stream_format: Literal["sse", "audio"] = "audio"
    """`audio` sends the bytes; `sse` sends events with base64 audio."""


@router.post(
    "/speech",
    summary="Speak, for OpenAI's clients",
    response_class=StreamingResponse,
    responses=responses(200, "the bytes of a recording", media_type="audio/mpeg") | ERRORS,
)
async def create_speech(
    request: Request,
    backend: BackendDep,
    body: Annotated[CreateSpeechRequest, Body(examples=[examples.SPEECH])],
) -> Response:
    """Speak up to 4,096 characters, and send each sentence as soon as it is generated.

    With ``stream_format: sse`` the audio is sent as events, in base64. Identical requests at the same time
    are generated once. A response that breaks off is incomplete.
    """
    add_log_fields(request.scope, task="speak", model=body.model)
    in_progress = _in_progress.setdefault(backend, SingleFlight())
    chunks = in_progress.join(_digest(request, body), lambda: _bounded(backend, body))
    first = await cancel_on_disconnect(request, anext(chunks))
    headers = UNBUFFERED | {WEIGHTS: first.weights, NOTES: json.dumps(_notes(body, first))}
    if body.stream_format == "sse":
        events = _as_events(first, chunks, request, body.input)
        return EventSourceResponse(events, headers=headers, ping=PING_SECONDS)
    media_type = CODECS[body.response_format].media_type
    return _ClosingResponse(_contents(first, chunks), headers=headers, media_type=media_type)


class _ClosingResponse(StreamingResponse):
    """A streaming response that closes its source at the end, also after a disconnect."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self.body_iterator):  # type: ignore[type-var]  # it is a generator
            await super().__call__(scope, receive, send)


async def _bounded(backend: Backend, body: CreateSpeechRequest) -> SpeechChunks:
    """Speak in one of the slots for direct responses, and within their time limit."""
    limit = backend.config.http.max_direct_seconds
    try:
        with backend.direct.slot():
            async with asyncio.timeout(limit), aclosing(_spoken(backend, body)) as chunks:
                async for chunk in chunks:
                    yield chunk
    except TimeoutError:
        raise TimeLimitExceeded(
            f"the speech was not complete within {limit:g} s; a job may take longer (POST /v1/jobs)",
            details={"time_limit": limit},
        ) from None


async def _spoken(backend: Backend, body: CreateSpeechRequest) -> SpeechChunks:
    binding = await asyncio.to_thread(_resolved, backend, body)
    request = binding.request
    sampled = not backend.registry.card(request.model or "").deterministic
    if sampled:  # one seed for all pieces keeps the voice the same
        request = request.model_copy(update={"seed": secrets.randbits(31)})
    texts = split_text(request.text, grouped=sampled)
    try:
        async with aclosing(stream_speech(backend.direct, request, texts, body.response_format)) as chunks:
            notes = binding.notes
            async for chunk in chunks:
                yield replace(chunk, notes=[*notes, *chunk.notes])
                notes = ()
    finally:
        await asyncio.to_thread(backend.voices.discard, binding.created)


def _resolved(backend: Backend, body: CreateSpeechRequest) -> Binding[SpeakRequest]:
    """Translate the body into a request that one of the models can serve. Blocking.

    Raises:
        NotServed: the model does not exist, or does not speak.
        InvalidRequest: the model has no such voice, or refuses the text.
        ModelUnavailable: a package that the model needs is not installed.
    """
    registry, model = backend.registry, model_named(backend, body.model)
    card = registry.select("speak", model, None, [body.voice], [body.input])
    voice = voice_named(backend, card, body.voice)
    request = SpeakRequest(text=body.input, model=card.name, voice=voice, speed=body.speed)
    try:
        binding = bind_voices(registry.resolve(request), registry, backend.voices)
    except InvalidRequest as error:
        if "parameter" in error.details:  # this route takes none
            raise transcript_missing(card.name, body.voice, "voice") from None
        raise
    named = request.model_copy(update={"model": model})
    return replace(binding, notes=[*registry.notes_on_default(named, binding.request), *binding.notes])


def _digest(request: Request, body: CreateSpeechRequest) -> str:
    """Return a key that is equal for equal bodies of the same caller."""
    key = request.headers.get("authorization") or request.headers.get("x-api-key") or ""
    return hashlib.sha256(f"{key}\n{body.model_dump_json()}".encode()).hexdigest()


def _notes(body: CreateSpeechRequest, first: SpeechChunk) -> list[str]:
    ignored = ["instructions was ignored: no model here takes instructions."] if body.instructions else []
    return [*ignored, *first.notes]


async def _contents(first: SpeechChunk, rest: SpeechChunks) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first.content
        async for chunk in rest:
            yield chunk.content


async def _as_events(
    first: SpeechChunk, rest: SpeechChunks, request: Request, text: str
) -> AsyncGenerator[ServerSentEvent, None]:
    seconds = first.seconds
    try:
        async with aclosing(rest):
            yield _delta(first)
            async for chunk in rest:
                seconds += chunk.seconds
                yield _delta(chunk)
    except Exception as error:  # the status line is sent: only an event can carry the error
        body = errors.error_response(error, request.scope).body
        yield ServerSentEvent(bytes(body).decode(), event="error")
        return
    yield ServerSentEvent(json.dumps({"type": "speech.audio.done", "usage": usage(text, seconds)}))


def _delta(chunk: SpeechChunk) -> ServerSentEvent:
    audio = base64.b64encode(chunk.content).decode()
    return ServerSentEvent(json.dumps({"type": "speech.audio.delta", "audio": audio}))
