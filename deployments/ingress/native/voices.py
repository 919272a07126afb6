"""``/v1/voices``: list voices, and store, look up and delete recorded ones."""

import asyncio
from typing import Annotated

from fastapi import Path

from audiograph.errors import naming_field
from audiograph.schemas import CreateVoiceRequest, VoiceInfo, VoiceList
from deployments.ingress.backend import BackendDep
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import LinksDep, StrictRouter
from deployments.ingress.native import examples
from deployments.ingress.native.errors import errors

router = StrictRouter(prefix="/v1", tags=["voices"])

VoiceId = Annotated[str, Path(min_length=1, max_length=255, examples=["anna"])]


@router.get("/voices", summary="List voices", responses=responses(200, examples.VOICES) | errors())
async def list_voices(backend: BackendDep, links: LinksDep) -> VoiceList:
    """List the models' built-in voices, and recorded ones, which every model that clones voices can use."""
    return VoiceList(data=[links.voice(voice) for voice in await backend.all_voices()])


@router.post(
    "/voices",
    status_code=201,
    summary="Create a voice from a recording",
    responses=responses(201, examples.VOICE) | errors(400, 404, 409),
)
async def create_voice(body: CreateVoiceRequest, backend: BackendDep, links: LinksDep) -> VoiceInfo:
    """Create a voice with trimmed ends and normalized loudness. The file is not needed afterwards."""
    return links.voice(await asyncio.to_thread(backend.create_voice, body))


@router.get(
    "/voices/{voice:path}", summary="Look up a voice", responses=responses(200, examples.VOICE) | errors(404)
)
async def get_voice(voice: VoiceId, backend: BackendDep, links: LinksDep) -> VoiceInfo:
    """Return a recorded voice, by its name or its path in the voices folder."""
    with naming_field("voice"):
        found = await asyncio.to_thread(backend.voices.get, voice)
    return links.voice(backend.with_models(found))


@router.delete(
    "/voices/{voice:path}",
    status_code=204,
    summary="Delete a voice",
    responses=responses(204, None) | errors(404, 409),
)
async def delete_voice(voice: VoiceId, backend: BackendDep) -> None:
    """Delete an uploaded voice; jobs submitted before keep it. The voices folder is not changed."""
    with naming_field("voice"):
        await asyncio.to_thread(backend.voices.delete, voice)
