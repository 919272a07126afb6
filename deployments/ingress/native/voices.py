"""``/v1/voices``: what models speak with, built in or recorded; and the same for OpenAI's clients."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel

from audiograph.schemas import CreateVoiceRequest, VoiceInfo, VoiceList
from deployments.ingress.backend import Injected, Services
from deployments.ingress.http.route import Linked, NativeRoute
from deployments.ingress.native import examples
from deployments.ingress.native.examples import answers

router = APIRouter(prefix="/v1", tags=["voices"], route_class=NativeRoute)

VoiceId = Annotated[str, Path(min_length=1, max_length=255, examples=["anna"])]


class VoiceNames(BaseModel):
    """As OpenAI-style servers list voices."""

    voices: list[VoiceInfo]


@router.get("/voices", summary="List voices", responses=answers(200, examples.VOICES))
async def list_voices(services: Injected, links: Linked) -> VoiceList:
    """Those that come with a model, and recorded ones, which every model that clones voices can take."""
    return VoiceList(data=[links.voice(voice) for voice in await asyncio.to_thread(_voices, services)])


@router.get(
    "/audio/voices", summary="List voices for OpenAI's clients", responses=answers(200, examples.VOICE_NAMES)
)
async def list_voices_for_openai(services: Injected, links: Linked) -> VoiceNames:
    """The same under another key."""
    return VoiceNames(voices=[links.voice(voice) for voice in await asyncio.to_thread(_voices, services)])


@router.post(
    "/voices",
    status_code=201,
    summary="Keep a recording as a voice",
    responses=answers(201, examples.VOICE, 400, 404, 409),
)
async def create_voice(body: CreateVoiceRequest, services: Injected, links: Linked) -> VoiceInfo:
    """Its silent ends are cut off, and it is brought to one loudness. The file is not needed afterwards."""
    voice = await asyncio.to_thread(services.voices.create, body.name, body.file, body.transcript)
    return links.voice(_with_models(services, voice))


@router.get("/voices/{voice:path}", summary="Look up a voice", responses=answers(200, examples.VOICE, 404))
async def get_voice(voice: VoiceId, services: Injected, links: Linked) -> VoiceInfo:
    """A recorded one, by its name or its path in the voices folder."""
    found = await asyncio.to_thread(services.voices.get, voice)
    return links.voice(_with_models(services, found))


@router.delete(
    "/voices/{voice:path}", status_code=204, summary="Delete a voice", responses=answers(204, None, 404, 409)
)
async def delete_voice(voice: VoiceId, services: Injected) -> None:
    """Jobs that were submitted before keep it. What the voices folder holds is removed there."""
    await asyncio.to_thread(services.voices.delete, voice)


def _voices(services: Services) -> list[VoiceInfo]:
    built_in = [
        VoiceInfo(**voice.model_dump(), source="built-in", models=[name])
        for name in services.registry.cards
        for voice in services.registry.voices(name)
    ]
    return [*built_in, *(_with_models(services, voice) for voice in services.voices.list())]


def _with_models(services: Services, voice: VoiceInfo) -> VoiceInfo:
    """And with which models it can speak."""
    models = [
        card.name
        for card in services.registry.cards.values()
        if card.clones_voices and (voice.transcript or not card.needs_transcripts)
    ]
    return voice.model_copy(update={"models": models})
