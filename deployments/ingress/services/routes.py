"""``/services/{model}``: the API of one microservice per speech model, served by jobs."""

from typing import Annotated, Literal

from fastapi import Body, Depends, Path, Request
from pydantic import BaseModel, ConfigDict

from audiograph._wording import shown
from audiograph.errors import NotFound
from deployments.ingress.backend import BackendDep
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import StrictRouter
from deployments.ingress.services import examples
from deployments.ingress.services.errors import ERRORS
from deployments.ingress.services.requests import (
    DialogueBody,
    SpeechBody,
    dialogue_request,
    run_and_export,
    speech_request,
)
from deployments.models.registry import ModelCard

router = StrictRouter(prefix="/services/{model}", tags=["services"])


class Written(BaseModel):
    """The result of speech or dialogue: the file that was written."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["success"] = "success"
    """Always `success`."""
    output_filepath: str
    """The path from the request."""
    message: str
    """The job, the duration and sample rate of the audio, and notes."""


class Done(BaseModel):
    """The result of a load or unload."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["success"] = "success"
    """Always `success`."""
    message: str
    """The variant that was loaded and its replicas, or the memory that was freed."""


class ServiceHealth(BaseModel):
    """Whether the model can work, and on which device."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    status: Literal["healthy", "unhealthy"]
    """Whether the model can work."""
    model_loaded: bool
    """Whether a replica has a variant loaded."""
    device: str
    """`cpu` or `cuda`."""
    dependencies_available: bool
    """Whether everything that it needs is installed."""


class ServiceInfo(BaseModel):
    """The service and its checkpoint."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    message: str
    """Name of the service."""
    model: str
    """The authors' name of the checkpoint."""


async def _service(
    model: Annotated[str, Path(min_length=1, max_length=128, examples=["mock"])], backend: BackendDep
) -> ModelCard:
    served = {
        name: card for name, card in backend.registry.cards.items() if {"speak", "dialogue"} & {*card.tasks}
    }
    if model not in served:
        raise NotFound(f"there is no speech service {shown(model)}; there are: {', '.join(served) or 'none'}")
    return served[model]


Service = Annotated[ModelCard, Depends(_service)]
VoiceId = Annotated[str, Path(max_length=4096, examples=["anna.wav"])]


@router.post(
    "/v1/text-to-speech/{voice_id:path}",
    summary="Speak a text into a file",
    responses=responses(200, examples.SPEECH_WRITTEN) | ERRORS,
)
async def speak(
    service: Service,
    voice_id: VoiceId,
    body: Annotated[SpeechBody, Body(openapi_examples=examples.SPEECH)],
    backend: BackendDep,
    request: Request,
) -> Written:
    """Speak a text and write it to a file in the server's exports folder.

    ``voice_id`` is the URL-encoded path of a recording in the voices folder, or the name or id of an uploaded
    voice. The default voice replaces a voice that does not exist, and ``message`` says so. The response comes
    when the file is written. The job is canceled when the client disconnects.
    """
    speech = speech_request(service.name, voice_id, body, backend.config)
    message = await run_and_export(speech, body.output_filepath, backend, request)
    return Written(output_filepath=body.output_filepath, message=message)


@router.post(
    "/v1/text-to-dialogue",
    summary="Speak a dialogue into a file",
    responses=responses(200, examples.DIALOGUE_WRITTEN) | ERRORS,
)
async def converse(
    service: Service,
    body: Annotated[DialogueBody, Body(openapi_examples=examples.DIALOGUE)],
    backend: BackendDep,
    request: Request,
) -> Written:
    """Speak a dialogue of several voices and write it to one file, as text-to-speech does."""
    dialogue = dialogue_request(service.name, body, backend.config)
    message = await run_and_export(dialogue, body.output_filepath, backend, request)
    return Written(output_filepath=body.output_filepath, message=message)


@router.post("/v1/load-model", summary="Load the model", responses=responses(200, examples.LOADED) | ERRORS)
async def load(service: Service, backend: BackendDep) -> Done:
    """Load the model's default variant on every live replica, or on a new one."""
    report = await backend.models.load(service.name, None)
    return Done(message=f"{service.name} ({report.variant}) is loaded on {_counted(len(report.replicas))}")


@router.post(
    "/v1/unload-model", summary="Unload the model", responses=responses(200, examples.UNLOADED) | ERRORS
)
async def unload(service: Service, backend: BackendDep) -> Done:
    """Free the model's memory, once its running work has ended. The next request loads it again."""
    report = await backend.models.unload(service.name, None)
    freed = f"{_counted(len(report.replicas))} freed {report.bytes / 1e6:.0f} MB"
    return Done(message=f"{service.name} is unloaded: {freed}")


@router.get("/health", summary="Check the model", responses=responses(200, examples.HEALTH) | ERRORS)
async def health(service: Service, backend: BackendDep) -> ServiceHealth:
    """Return whether the model is loaded, its device, and whether its packages are installed."""
    replicas = await backend.models.status(service.name)
    wanted = service.config.deployment.get("ray_actor_options") or {}
    return ServiceHealth(
        status="unhealthy" if service.missing else "healthy",
        model_loaded=any(replica.loaded for replica in replicas),
        device=replicas[0].device if replicas else "cuda" if wanted.get("num_gpus") else "cpu",
        dependencies_available=service.missing is None,
    )


@router.get("", include_in_schema=False)
@router.get("/", summary="Describe the service", responses=responses(200, examples.INFO) | ERRORS)
async def info(service: Service) -> ServiceInfo:
    """Return the service's name, and its authors' name of the checkpoint."""
    return ServiceInfo(message=f"{service.name.capitalize()} Service", model=service.checkpoint or "none")


def _counted(replicas: int) -> str:
    return f"{replicas} replica{'s' * (replicas != 1)}"
