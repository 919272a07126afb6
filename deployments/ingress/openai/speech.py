"""``POST /v1/audio/speech``, as OpenAI's clients speak it: text in, audio out while it is made."""

import asyncio
import base64
import hashlib
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.types import Receive, Scope, Send

from audiograph.errors import TimeLimitExceeded
from audiograph.schemas import Name, SpeakRequest
from deployments.audio.encoder import CODECS
from deployments.ingress.backend import Injected, Services
from deployments.ingress.http import errors
from deployments.ingress.http.disconnect import while_connected
from deployments.ingress.http.request_log import note
from deployments.ingress.http.route import NativeRoute
from deployments.ingress.native.events import PING_SECONDS
from deployments.ingress.openai import examples
from deployments.ingress.openai.examples import answers
from deployments.ingress.openai.names import model_named, voice_named
from deployments.ingress.openai.sentences import pieces
from deployments.ingress.openai.streaming import Parts, SpeechPart, speech, tokens
from deployments.jobs.binding import Binding, bind_voices

router = APIRouter(prefix="/v1/audio", tags=["openai"], route_class=NativeRoute)

NOTES, WEIGHTS = "x-audiograph-notes", "x-audiograph-weights"
"""Headers: a JSON list of what was ignored or changed; and whether the voice is but random weights."""


def _name_of(voice: Any) -> Any:
    """``{"id": …}``, as a voice of one's own is named, is its id."""
    return voice["id"] if isinstance(voice, dict) and list(voice) == ["id"] else voice


class SpeechBody(BaseModel):
    """OpenAI's request for speech."""

    model_config = ConfigDict(extra="forbid")

    input: str = Field(min_length=1, max_length=4096)
    model: Name = Field(description="One that speaks, or an OpenAI name: then the default for speech.")
    voice: Annotated[Name, BeforeValidator(_name_of)] = Field(
        description="A voice's name, or ``{\"id\": name}``; OpenAI's own names mean the model's default."
    )
    instructions: str | None = Field(None, max_length=4096, description="Ignored, which a header tells.")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4)
    stream_format: Literal["sse", "audio"] = "audio"


@router.post(
    "/speech",
    summary="Speak, for OpenAI's clients",
    response_class=StreamingResponse,
    responses=answers("the bytes of a recording", "audio/mpeg"),
)
async def create_speech(
    request: Request, services: Injected, body: Annotated[SpeechBody, Body(examples=[examples.SPEECH])]
) -> Response:
    """Speak up to 4,096 characters, sentence by sentence; the first ones are sent before the last are made.

    With ``stream_format: sse`` the audio comes as events in base64. Equal requests at the same time are made
    once. An answer that breaks off is not complete.
    """
    note(request.scope, task="speak", model=body.model)
    parts = services.speeches.join(_digest(request, body), lambda: _made(services, body))
    first = await while_connected(request, anext(parts))
    headers = {WEIGHTS: first.weights, NOTES: json.dumps(_notes(body, first))}
    rest = _with(first, parts)
    if body.stream_format == "sse":
        return EventSourceResponse(_as_events(rest, request, body.input), headers=headers, ping=PING_SECONDS)
    media_type = CODECS[body.response_format].media_type
    return _Audio(_contents(rest), headers=headers, media_type=media_type)


class _Audio(StreamingResponse):
    """A stream whose source ends with it, also where the client has gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self.body_iterator):  # type: ignore[type-var]  # it is a generator
            await super().__call__(scope, receive, send)


async def _made(services: Services, body: SpeechBody) -> Parts:
    """All parts, made in one of the places for answers without a job, and within their time."""
    limit = services.config.http.max_direct_seconds
    try:
        with services.direct.place():
            async with asyncio.timeout(limit), aclosing(_spoken(services, body)) as parts:
                async for part in parts:
                    yield part
    except TimeoutError:
        raise TimeLimitExceeded(
            f"the speech was not made within {limit:g} s; a job may take longer (POST /v1/jobs)",
            details={"time_limit": limit},
        ) from None


async def _spoken(services: Services, body: SpeechBody) -> Parts:
    binding = await asyncio.to_thread(_resolved, services, body)
    request = binding.request
    assert isinstance(request, SpeakRequest)
    drawn = services.registry.card(request.model or "").needs_weights
    if drawn:  # one seed for all pieces, so that the voice stays one
        request = request.model_copy(update={"seed": secrets.randbits(31)})
    texts = pieces(request.text, grouped=drawn)
    try:
        async with aclosing(speech(services.direct, request, texts, body.response_format)) as parts:
            async for part in parts:
                yield part
    finally:
        await asyncio.to_thread(services.voices.discard, binding.made)


def _resolved(services: Services, body: SpeechBody) -> Binding:
    """The request that a model of ours can serve. Blocking.

    Raises:
        NotServed: there is no such model, or it does not speak.
        InvalidRequest: it has no such voice, or refuses the text.
        ModelUnavailable: a package that it needs is not installed.
    """
    asked = SpeakRequest(text=body.input, model=model_named(services, body.model), speed=body.speed)
    resolved = services.registry.resolve(asked)
    voice = voice_named(services, resolved.model or "", body.voice)
    if voice is not None:
        resolved = services.registry.resolve(asked.model_copy(update={"voice": voice}))
    return bind_voices(resolved, services.registry, services.voices)


def _digest(request: Request, body: SpeechBody) -> str:
    """Of who asks and for what."""
    key = request.headers.get("authorization") or request.headers.get("x-api-key") or ""
    return hashlib.sha256(f"{key}\n{body.model_dump_json()}".encode()).hexdigest()


def _notes(body: SpeechBody, first: SpeechPart) -> list[str]:
    ignored = ["instructions was ignored: models here take none."] if body.instructions else []
    return [*ignored, *first.notes]


async def _with(first: SpeechPart, rest: Parts) -> Parts:
    async with aclosing(rest):
        yield first
        async for part in rest:
            yield part


async def _contents(parts: Parts) -> AsyncGenerator[bytes, None]:
    async with aclosing(parts):
        async for part in parts:
            yield part.content


async def _as_events(parts: Parts, request: Request, text: str) -> AsyncGenerator[ServerSentEvent, None]:
    seconds = 0.0
    try:
        async with aclosing(parts):
            async for part in parts:
                seconds += part.seconds
                audio = base64.b64encode(part.content).decode()
                yield ServerSentEvent(json.dumps({"type": "speech.audio.delta", "audio": audio}))
    except Exception as error:  # the status line has gone out: only the stream itself can tell
        yield ServerSentEvent(bytes(errors.answer(error, request.scope).body).decode(), event="error")
        return
    yield ServerSentEvent(json.dumps({"type": "speech.audio.done", "usage": tokens(text, seconds)}))
