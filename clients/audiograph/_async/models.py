"""``client.models``: the configured models."""

from __future__ import annotations

from audiograph._async.http import AsyncHttp
from audiograph._checks import build
from audiograph._routes import route
from audiograph.schemas import LoadReport, LoadRequest, ModelInfo, ModelList

LOAD_TIMEOUT = 900.0
"""In seconds: the server may have to download a large checkpoint before it responds."""


class AsyncModels:
    """Look up models and their variants, load and unload them."""

    def __init__(self, http: AsyncHttp) -> None:
        self._http = http

    async def get(self, model: str) -> ModelInfo:
        """Return one model with its voices, replicas and loaded variants; raises NotFound."""
        return await self._http.fetch(ModelInfo, "GET", route("models", model))

    async def load(self, model: str, variant: str | None = None) -> LoadReport:
        """Load a variant (by default the model's default variant) on all present and future replicas.

        Raises:
            InvalidRequest: the name of the model or the variant is invalid.
            NotFound: there is no such model.
            WeightsMissing: the pretrained weights are unavailable.
            OutOfMemory: the variant does not fit the device.
        """
        return await self._change(model, "load", variant)

    async def unload(self, model: str, variant: str | None = None) -> LoadReport:
        """Unload a variant (by default all) after its running requests; the report has the freed bytes."""
        return await self._change(model, "unload", variant)

    async def list(self) -> list[ModelInfo]:
        """Return every configured model."""
        return (await self._http.fetch(ModelList, "GET", route("models"))).data

    async def _change(self, model: str, action: str, variant: str | None) -> LoadReport:
        body = build(LoadRequest, variant=variant).model_dump(exclude_none=True)
        path = route("models", model, action)
        return await self._http.fetch(LoadReport, "POST", path, json=body, timeout=LOAD_TIMEOUT)
