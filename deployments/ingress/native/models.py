"""``/v1/models``: what is configured, what is loaded where, and loading and unloading by hand."""

import asyncio
import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Path

from audiograph.schemas import LoadReport, LoadRequest, ModelInfo, ModelList, Replica, Weights
from deployments.ingress.backend import Injected, Services
from deployments.ingress.http.route import NativeRoute
from deployments.ingress.native import examples
from deployments.ingress.native.examples import answers
from deployments.models.kit.weights import hub_reachable
from deployments.models.registry import ModelCard

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=NativeRoute)

ModelName = Annotated[str, Path(min_length=1, max_length=128, examples=["whisper"])]

HUB = "https://huggingface.co"
"""Where weights come from: asked when a model may take random ones instead, and none is loaded yet."""

_STARTED = int(time.time())


@router.get("", summary="List models", responses=answers(200, examples.MODELS))
async def list_models(services: Injected) -> ModelList:
    """Every configured model, in OpenAI's list shape, with tasks, variants, voices and live replicas."""
    return ModelList(
        data=await asyncio.gather(*[describe(services, name) for name in services.registry.cards])
    )


@router.get("/{model}", summary="Look up a model", responses=answers(200, examples.MODEL, 404))
async def get_model(model: ModelName, services: Injected) -> ModelInfo:
    """One model."""
    return await describe(services, model)


@router.post(
    "/{model}/load", summary="Load a variant", responses=answers(200, examples.LOADED, 400, 404, 503)
)
async def load_model(model: ModelName, services: Injected, body: LoadRequest | None = None) -> LoadReport:
    """Load a variant on every live replica, or on a new one. Later replicas load it at start."""
    return await services.models.load(model, body.variant if body else None)


@router.post(
    "/{model}/unload", summary="Unload a variant", responses=answers(200, examples.UNLOADED, 400, 404, 503)
)
async def unload_model(model: ModelName, services: Injected, body: LoadRequest | None = None) -> LoadReport:
    """Free a variant's memory everywhere, once its running work has ended. Without a variant: all."""
    return await services.models.unload(model, body.variant if body else None)


async def describe(services: Services, name: str) -> ModelInfo:
    """A model's card, voices and replicas as one record.

    Raises:
        NotFound: there is no such model.
    """
    card = services.registry.card(name)
    replicas = await services.models.status(name)
    voices = await asyncio.to_thread(services.registry.voices, name)
    return ModelInfo(
        id=name,
        created=_STARTED,
        tasks=list(card.tasks),
        variants=list(card.variants),
        default_variant=card.default_variant,
        weights=await _weights(services, card, replicas),
        available=card.missing is None,
        message=card.missing,
        voices=voices,
        replicas=replicas,
    )


async def _weights(services: Services, card: ModelCard, replicas: Sequence[Replica]) -> Weights:
    """What is loaded tells it; before that, the policy, and for ``auto`` whether a hub can be reached."""
    if not card.needs_weights:
        return "none"
    loaded = [variant.weights for replica in replicas for variant in replica.loaded]
    if loaded:
        return "random" if "random" in loaded else loaded[0]
    if card.weights_policy == "auto":
        reachable = await asyncio.to_thread(hub_reachable, HUB, services.config.work_dir)
        return "pretrained" if reachable else "random"
    return "random" if card.weights_policy == "tiny" else "pretrained"
