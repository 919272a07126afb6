"""The routes of every dialect: strict JSON, no unknown query parameters, HEAD, absolute URLs."""

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from audiograph._patterns import SHORT_IDENTIFIER
from audiograph._wording import shortened, shown
from audiograph.errors import InvalidRequest, MalformedRequest
from deployments.ingress.backend import BackendDep
from deployments.ingress.http import json_body
from deployments.ingress.http.links import Links
from deployments.ingress.http.methods import without_body
from deployments.ingress.http.request_log import add_log_fields
from deployments.ingress.http.validation import unknown

MAX_JSON_BYTES = 2 * 1024**2

_JSON_TYPE = re.compile(r"application/(json|[^/\s]*\+json)")


async def _links(connection: HTTPConnection, backend: BackendDep) -> Links:
    return Links(backend.config.http.public_url or str(connection.base_url))


LinksDep = Annotated[Links, Depends(_links)]
JobId = Annotated[str, Path(pattern=SHORT_IDENTIFIER)]


class StrictRouter(APIRouter):
    """A router of strict routes, which answers HEAD wherever it answers GET."""

    def __init__(self, **options: Any) -> None:
        super().__init__(route_class=StrictRoute, **options)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add a route, and for GET its twin for HEAD, which OpenAPI leaves out."""
        super().add_api_route(path, endpoint, **options)
        if "GET" in options["methods"]:
            twin = options | {"methods": ["HEAD"], "include_in_schema": False}
            super().add_api_route(path, endpoint, **twin)


class StrictRoute(APIRoute):
    """A route that refuses unknown query parameters and other bodies than strict JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the checks in front of FastAPI's own handler."""
        handle = super().get_route_handler()
        known = _query_names(self.dependant)
        takes_json = self.body_field is not None

        async def strict(plain: Request) -> Response:
            request = _StrictRequest(plain.scope, plain.receive)
            if job_id := request.path_params.get("job_id"):
                add_log_fields(request.scope, audio_job_id=job_id)
            _refuse_unknown_query(request, known)
            if takes_json:
                await _check_body(request)
            response = await handle(request)
            return without_body(response) if request.method == "HEAD" else response

        return strict


def _query_names(dependant: Dependant) -> list[str]:
    below = [name for inner in dependant.dependencies for name in _query_names(inner)]
    return [parameter.alias for parameter in dependant.query_params] + below


def _refuse_unknown_query(request: Request, known: list[str]) -> None:
    for name in request.query_params:
        if name not in known:
            raise InvalidRequest(unknown("query parameter", name, known), field=shortened(name))


class _StrictRequest(Request):
    """A request with a bounded body of strict JSON."""

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            HTTPException: 413, it is larger than `MAX_JSON_BYTES`.
        """
        if not hasattr(self, "_bounded"):
            chunks, total = [], 0
            async for chunk in self.stream():
                total += len(chunk)
                if total > MAX_JSON_BYTES:
                    raise HTTPException(413, f"the body is larger than {MAX_JSON_BYTES} bytes")
                chunks.append(chunk)
            self._bounded = b"".join(chunks)
        return self._bounded

    async def json(self) -> Any:
        """Parse the body; see `json_body.parse`."""
        if not hasattr(self, "_parsed"):
            self._parsed = json_body.parse(await self.body())
        return self._parsed


async def _check_body(request: _StrictRequest) -> None:
    """Refuse a body that is not strict JSON; without a body, the schema decides whether one is required."""
    kind = request.headers.get("content-type", "")
    if kind or await request.body():
        _refuse_other_content(kind)
    if await request.body():
        await request.json()  # here, since FastAPI would replace the reason by one of its own


def _refuse_other_content(given: str) -> None:
    if not _JSON_TYPE.fullmatch(given.partition(";")[0].strip().lower()):
        kind = shown(given) if given else "an untyped body"
        raise MalformedRequest(f"send the body as application/json, not {kind}", field="Content-Type")
