"""The route class of every dialect: strict JSON, no unknown query parameters, absolute URLs."""

import json
import math
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, NoReturn

from fastapi import Depends, Path
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from audiograph._wording import shortened, shown
from audiograph.errors import InvalidRequest, MalformedRequest
from deployments.ingress.backend import BackendDep
from deployments.ingress.http.links import Links
from deployments.ingress.http.request_log import add_log_fields
from deployments.ingress.http.validation import unknown

MAX_JSON_BYTES = 2 * 1024**2
ID_PATTERN = r"^[A-Za-z0-9_.:-]{1,64}$"
"""Characters of ids: safe in databases and paths."""
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


async def _links(connection: HTTPConnection, backend: BackendDep) -> Links:
    return Links(backend.config.http.public_url or str(connection.base_url))


LinksDep = Annotated[Links, Depends(_links)]
JobId = Annotated[str, Path(pattern=ID_PATTERN)]


class StrictRoute(APIRoute):
    """A route that refuses unknown query parameters and other bodies than strict JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Put the checks in front of FastAPI's own handler."""
        handle = super().get_route_handler()
        known = _query_names(self.dependant)
        takes_json = self.body_field is not None

        async def strict(request: Request) -> Response:
            if job_id := request.path_params.get("job_id"):
                add_log_fields(request.scope, audio_job_id=job_id)
            _refuse_unknown_query(request, known)
            if takes_json:
                _refuse_other_content(request)
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


def _query_names(dependant: Dependant) -> list[str]:
    below = [name for inner in dependant.dependencies for name in _query_names(inner)]
    return [parameter.alias for parameter in dependant.query_params] + below


def _refuse_unknown_query(request: Request, known: list[str]) -> None:
    for name in request.query_params:
        if name not in known:
            raise InvalidRequest(unknown("query parameter", name, known), field=shortened(name))


def _refuse_other_content(request: Request) -> None:
    given = request.headers.get("content-type", "")
    kind = given.partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    if not given and request.headers.get("content-length", "0") == "0":
        return  # no body at all: the schema decides whether one is required
    raise MalformedRequest(
        f"send the body as application/json, not {shown(given) if given else 'untyped'}", field="Content-Type"
    )


class _StrictRequest(Request):
    """A request with a bounded JSON body, whose values every database and JSON reader can hold."""

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
        """Parse the body.

        Raises:
            json.JSONDecodeError: it is not JSON or not UTF-8, is nested too deeply, or holds numbers or
                characters that JSON or PostgreSQL cannot represent.
        """
        try:
            text = (await self.body()).decode()
            value = json.loads(text, parse_constant=_not_json, parse_float=_finite, parse_int=_readable)
            _refuse_odd_characters(value)
        except UnicodeDecodeError as error:
            raise json.JSONDecodeError("it is not UTF-8", "", error.start) from error
        except RecursionError as error:
            raise json.JSONDecodeError("it is nested too deeply", "", 0) from error
        except json.JSONDecodeError:
            raise
        except ValueError as error:
            raise json.JSONDecodeError(str(error), "", 0) from error
        return value


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{shortened(digits)} is too large a number")
    return number


def _readable(digits: str) -> int:
    if len(digits.lstrip("-")) > sys.get_int_max_str_digits() > 0:
        raise ValueError(f"{shortened(digits)} is too long a number: it has {len(digits)} digits")
    return int(digits)


def _refuse_odd_characters(value: Any) -> None:
    """Refuse NUL and lone surrogates: legal in JSON's escapes, but not in PostgreSQL and UTF-8."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            raise ValueError("a string holds NUL or half of a surrogate pair")
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_odd_characters(key)
            _refuse_odd_characters(item)
    elif isinstance(value, list):
        for item in value:
            _refuse_odd_characters(item)
