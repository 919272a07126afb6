"""``/v1/models``: list and look up models, and load and unload their variants."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Annotated

from fastapi import Path

from audiograph.schemas import LoadReport, LoadRequest, ModelInfo, ModelList, Replica, VariantWeights, Weights
from deployments.ingress.backend import Backend, BackendDep
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import StrictRouter
from deployments.ingress.native import examples
from deployments.ingress.native.errors import errors

router = StrictRouter(prefix="/v1/models", tags=["models"])

ModelName = Annotated[str, Path(min_length=1, max_length=128, examples=["whisper"])]

_STARTED = int(time.time())


@router.get("", summary="List models", responses=responses(200, examples.MODELS) | errors())
async def list_models(backend: BackendDep) -> ModelList:
    """List every configured model in OpenAI's format, with tasks, variants, voices and live replicas."""
    return ModelList(data=await asyncio.gather(*[describe(backend, name) for name in backend.registry.cards]))


@router.get("/{model}", summary="Look up a model", responses=responses(200, examples.MODEL) | errors(404))
async def get_model(model: ModelName, backend: BackendDep) -> ModelInfo:
    """Return one model."""
    return await describe(backend, model)


@router.post(
    "/{model}/load",
    summary="Load a variant",
    responses=responses(200, examples.LOADED) | errors(400, 404, 503),
)
async def load_model(model: ModelName, backend: BackendDep, body: LoadRequest | None = None) -> LoadReport:
    """Load a variant on every live replica, or on a new one. Replicas that start later load it as well."""
    return await backend.models.load(model, body.variant if body else None)


@router.post(
    "/{model}/unload",
    summary="Unload a variant",
    responses=responses(200, examples.UNLOADED) | errors(400, 404, 503),
)
async def unload_model(model: ModelName, backend: BackendDep, body: LoadRequest | None = None) -> LoadReport:
    """Unload a variant, or all, from every live replica, once its running work has ended."""
    return await backend.models.unload(model, body.variant if body else None)


async def describe(backend: Backend, name: str) -> ModelInfo:
    """Describe a model's card, voices and replicas in one record.

    Raises:
        NotFound: the model does not exist.
    """
    card = backend.registry.card(name)
    replicas = await backend.models.status(name)
    voices = await asyncio.to_thread(backend.registry.voices, name)
    loaded = _loaded(replicas)
    weights = await asyncio.to_thread(_weights, backend, name, loaded)
    return ModelInfo(
        id=name,
        created=_STARTED,
        tasks=list(card.tasks),
        variants=list(card.variants),
        default_variant=card.default_variant,
        weights=_summary(weights, card.default_variant, loaded),
        variant_weights=weights,
        available=card.missing is None,
        message=card.missing,
        voices=voices,
        replicas=replicas,
    )


def _loaded(replicas: Sequence[Replica]) -> dict[str, VariantWeights]:
    """Return the loaded weights by variant; random ones if replicas differ."""
    loaded: dict[str, VariantWeights] = {}
    for variant in (variant for replica in replicas for variant in replica.loaded):
        if variant.variant not in loaded or variant.weights == "random":
            loaded[variant.variant] = VariantWeights.model_validate(variant, from_attributes=True)
    return loaded


def _weights(backend: Backend, name: str, loaded: Mapping[str, VariantWeights]) -> list[VariantWeights]:
    """List the weights of all variants: those that are loaded, and estimates of the others. Blocking."""
    registry = backend.registry
    return [
        loaded.get(variant) or registry.weights(name, variant) for variant in registry.card(name).variants
    ]


def _summary(
    weights: Sequence[VariantWeights], default: str, loaded: Mapping[str, VariantWeights]
) -> Weights:
    """Return the kind of the loaded weights, ``random`` first; if there are none, the default variant's."""
    kinds = [variant.weights for variant in loaded.values()]
    kinds = kinds or [variant.weights for variant in weights if variant.variant == default]
    return "random" if "random" in kinds else kinds[0]
