"""``client.models``: what the server can do."""

from __future__ import annotations

from audiograph._async.http import AsyncHttp
from audiograph._routes import route
from audiograph.schemas import LoadReport, LoadRequest, ModelInfo, ModelList

LOADING_SECONDS = 900.0
"""A large checkpoint may come over the network before the answer does."""


class AsyncModels:
    """See models and their variants, load and unload them."""

    def __init__(self, http: AsyncHttp) -> None:
        self._http = http

    async def get(self, model: str) -> ModelInfo:
        """One model with its voices, replicas and loaded variants; raises NotFound."""
        return await self._http.fetch(ModelInfo, "GET", route("models", model))

    async def load(self, model: str, variant: str | None = None) -> LoadReport:
        """Load a variant, the default if none is given, on every replica, now and later.

        Raises:
            NotFound: no such model.
            WeightsMissing: its weights are configured but not there.
            OutOfMemory: it does not fit the device.
        """
        return await self._change(model, "load", variant)

    async def unload(self, model: str, variant: str | None = None) -> LoadReport:
        """Unload a variant, or all, once its work is done; the report says how many bytes came back."""
        return await self._change(model, "unload", variant)

    async def list(self) -> list[ModelInfo]:
        """Every configured model."""
        return (await self._http.fetch(ModelList, "GET", route("models"))).data

    async def _change(self, model: str, action: str, variant: str | None) -> LoadReport:
        body = LoadRequest(variant=variant).model_dump(exclude_none=True)
        path = route("models", model, action)
        return await self._http.fetch(LoadReport, "POST", path, json=body, timeout=LOADING_SECONDS)
