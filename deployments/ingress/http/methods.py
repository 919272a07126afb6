"""The methods of HTTP that every path answers alike: HEAD, OPTIONS, and those that it does not have."""

from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from deployments.ingress.http.errors import error_response


def install(app: FastAPI) -> None:
    """Answer OPTIONS at every path, and list the path's methods in ``Allow``."""
    app.add_exception_handler(405, _other_method)


def without_body(response: Response) -> Response:
    """Return the response to HEAD: that to GET, whose body is neither sent nor made."""
    if isinstance(response, StreamingResponse):
        response.body_iterator = _nothing()
    else:
        response.body = b""  # Content-Length stays that of the body
    return response


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""  # makes it a generator


async def _other_method(request: Request, _: Exception) -> Response:
    headers = {"Allow": ", ".join(_methods(request.scope))}
    if request.method == "OPTIONS":
        return Response(status_code=204, headers=headers)
    return error_response(HTTPException(405, headers=headers), request.scope)


def _methods(scope: Scope) -> list[str]:
    """List the methods of all routes at a path; each route by itself knows only its own."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    routes = iter_route_contexts(scope["app"].routes)
    found = [route.methods for route in routes if route.methods and route.path_regex.match(path)]
    return sorted({"OPTIONS"}.union(*found))
