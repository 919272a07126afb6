"""``/services/{model}``: what one microservice per speech model used to serve, as jobs of this server."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Path, Request
from pydantic import BaseModel

from audiograph.errors import NotFound
from deployments.ingress.backend import Injected
from deployments.ingress.http.route import NativeRoute
from deployments.ingress.services import examples
from deployments.ingress.services.examples import answers
from deployments.ingress.services.requests import (
    DialogueBody,
    SpeechBody,
    dialogue_request,
    made,
    speech_request,
)
from deployments.models.registry import ModelCard

router = APIRouter(prefix="/services/{model}", tags=["services"], route_class=NativeRoute)


class Written(BaseModel):
    """Audio was made and written."""

    status: Literal["success"] = "success"
    output_filepath: str
    """As it was asked for."""
    message: str


class Done(BaseModel):
    """It was done."""

    status: Literal["success"] = "success"
    message: str


class ServiceHealth(BaseModel):
    """Whether the model can work, and where."""

    status: Literal["healthy", "unhealthy"]
    model_loaded: bool
    device: str
    dependencies_available: bool


class ServiceInfo(BaseModel):
    """What it is."""

    message: str
    model: str


async def _service(
    model: Annotated[str, Path(min_length=1, max_length=128, examples=["mock"])], services: Injected
) -> ModelCard:
    served = {
        name: card for name, card in services.registry.cards.items() if {"speak", "dialogue"} & {*card.tasks}
    }
    if model not in served:
        raise NotFound(f"there is no speech service {model!r}; there are: {', '.join(served) or 'none'}")
    return served[model]


Service = Annotated[ModelCard, Depends(_service)]
VoiceId = Annotated[str, Path(max_length=4096, examples=["anna.wav"])]


@router.post(
    "/v1/text-to-speech/{voice_id:path}",
    summary="Speak a text into a file",
    responses=answers(examples.SPEECH_WRITTEN),
)
async def speak(
    service: Service,
    voice_id: VoiceId,
    body: Annotated[SpeechBody, Body(openapi_examples=examples.SPEECH)],
    services: Injected,
    request: Request,
) -> Written:
    """In a voice of the voices folder, by its URL-encoded path, or an uploaded one, by its name or id.

    The default voice speaks for one that is not there, and ``message`` says so. The call lasts as long as the
    work; its job is canceled when the caller goes away.
    """
    asked = speech_request(service.name, voice_id, body, services.config)
    message = await made(asked, body.output_filepath, services, request)
    return Written(output_filepath=body.output_filepath, message=message)


@router.post(
    "/v1/text-to-dialogue",
    summary="Speak a dialogue into a file",
    responses=answers(examples.DIALOGUE_WRITTEN),
)
async def converse(
    service: Service,
    body: Annotated[DialogueBody, Body(openapi_examples=examples.DIALOGUE)],
    services: Injected,
    request: Request,
) -> Written:
    """The same for several speakers in turn, as one recording."""
    asked = dialogue_request(service.name, body, services.config)
    message = await made(asked, body.output_filepath, services, request)
    return Written(output_filepath=body.output_filepath, message=message)


@router.post("/v1/load-model", summary="Load the model", responses=answers(examples.LOADED))
async def load(service: Service, services: Injected) -> Done:
    """Its default variant, on every live replica, or on a new one."""
    report = await services.models.load(service.name, None)
    return Done(message=f"{service.name} ({report.variant}) is loaded on {_counted(len(report.replicas))}")


@router.post("/v1/unload-model", summary="Unload the model", responses=answers(examples.UNLOADED))
async def unload(service: Service, services: Injected) -> Done:
    """Give its memory back, once its running work has ended. The next request loads it again."""
    report = await services.models.unload(service.name, None)
    freed = f"{report.bytes / 1e6:.0f} MB were given back by {_counted(len(report.replicas))}"
    return Done(message=f"{service.name} is not loaded any more: {freed}")


@router.get("/health", summary="Can the model work?", responses=answers(examples.HEALTH))
async def health(service: Service, services: Injected) -> ServiceHealth:
    """Whether it is loaded, where it runs, and whether what it needs is installed."""
    replicas = await services.models.status(service.name)
    wanted = service.config.deployment.get("ray_actor_options") or {}
    return ServiceHealth(
        status="unhealthy" if service.missing else "healthy",
        model_loaded=any(replica.loaded for replica in replicas),
        device=replicas[0].device if replicas else "cuda" if wanted.get("num_gpus") else "cpu",
        dependencies_available=service.missing is None,
    )


@router.get("", include_in_schema=False)
@router.get("/", summary="Which model is it?", responses=answers(examples.INFO))
async def info(service: Service) -> ServiceInfo:
    """Its name, and what its authors call its weights."""
    return ServiceInfo(message=f"{service.name.capitalize()} Service", model=service.checkpoint or "none")


def _counted(replicas: int) -> str:
    return f"{replicas} replica{'s' * (replicas != 1)}"
