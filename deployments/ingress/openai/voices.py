"""``GET /v1/audio/voices``, in the format of OpenAI-compatible servers."""

from pydantic import BaseModel, ConfigDict

from audiograph.schemas import VoiceInfo
from deployments.ingress.backend import BackendDep
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import LinksDep, StrictRouter
from deployments.ingress.openai import examples
from deployments.ingress.openai.errors import ERRORS

router = StrictRouter(prefix="/v1/audio", tags=["openai"])


class VoiceNames(BaseModel):
    """Voices in the format of OpenAI-compatible servers."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    voices: list[VoiceInfo]
    """The voices."""


@router.get(
    "/voices",
    summary="List voices for OpenAI's clients",
    responses=responses(200, examples.VOICES) | {status: ERRORS[status] for status in (400, 401, "default")},
)
async def list_voices(backend: BackendDep, links: LinksDep) -> VoiceNames:
    """List voices in the format of OpenAI-compatible servers, under the key `voices`."""
    return VoiceNames(voices=[links.voice(voice) for voice in await backend.all_voices()])
