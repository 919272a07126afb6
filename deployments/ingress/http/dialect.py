"""A dialect: one HTTP interface with its routes, its documentation and the shape of its errors."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter

from deployments.ingress.http.errors import ErrorFormat, native_error


@dataclass(frozen=True, slots=True)
class Dialect:
    """The entry of a dialect in `deployments.ingress.app`."""

    routers: Sequence[APIRouter]
    tags: Sequence[dict[str, str]]
    """Groups of its routes in /docs."""
    path: str = ""
    """All of its routes lie below this path."""
    error_format: ErrorFormat = native_error
    exposed_headers: Sequence[str] = ()
    """Response headers that a page of another origin may read."""
    origins: Sequence[str] = ()
    """Origins whose pages may use the routes below its path, beside those of the configuration; or ``*``.
    Without API keys, such pages can do all that these routes can."""
