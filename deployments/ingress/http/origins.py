"""Refuses requests to a server without API keys that come from pages of other origins.

Every page in a local browser can send requests to this machine. CORS only keeps it from reading responses:
forms, plain text, images and WebSockets reach the server without asking, and could submit jobs or write
files. So such requests are refused by what a browser says of their sender, which no page can change:
``Origin``, and where there is none, ``Sec-Fetch-Site`` (https://www.w3.org/TR/fetch-metadata/) and
``Referer``. Other clients send none of the three.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from audiograph._wording import shown
from audiograph.errors import Forbidden
from deployments.config import AppConfig, origin_of
from deployments.ingress.http.errors import respond
from deployments.ingress.http.hosts import host_name, is_local
from deployments.ingress.http.paths import of_path
from deployments.ingress.http.request_log import add_log_fields

_LOOPBACK = r"https?://(localhost|[\w.-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?"


def allowed_origins(config: AppConfig) -> list[str]:
    """List the origins whose pages may read responses: by default every one if they need an API key."""
    given = config.http.cors_origins
    if given is None:
        given = ["*"] if config.auth.required else []
    public = origin_of(config.http.public_url or "")
    return [*given, public] if public else given


class OwnOrigins(CORSMiddleware):
    """CORS for a server without API keys: pages of this machine may use it too, and others are refused."""

    def __init__(self, app: ASGIApp, **options: Any) -> None:
        super().__init__(app, allow_origin_regex=_LOOPBACK, **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        refusal = self._refusal(scope) if scope["type"] != "lifespan" else None
        if refusal is None:
            await super().__call__(scope, receive, send)
            return
        add_log_fields(scope, refused=refusal.message)
        await respond(refusal, scope, receive, send)

    def _refusal(self, scope: Scope) -> Forbidden | None:
        headers = Headers(scope=scope)
        if self.allow_all_origins or _is_harmless(scope, headers):
            return None
        origin = headers.get("origin")
        sender = origin or origin_of(headers.get("referer", ""))
        if sender is None:
            return _refused("Sec-Fetch-Site", headers["sec-fetch-site"], "let the page send its Referer")
        if self.is_allowed_origin(sender) or _is_own(sender, headers):
            return None
        cure = "serve the page over HTTP" if sender == "null" else f"add {shown(sender)} to http.cors_origins"
        return _refused("Origin" if origin else "Referer", sender, cure)


class OriginsByPath:
    """ASGI middleware: CORS with further origins for the routes below some paths.

    Args:
        app: the application inside.
        cors: makes the CORS middleware of an application, for ``allow_origins``.
        origins: allowed everywhere.
        further: origins by path.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        cors: Callable[..., ASGIApp],
        origins: Sequence[str],
        further: Mapping[str, Sequence[str]],
    ) -> None:
        self._default = cors(app, allow_origins=origins)
        self._by_path = {path: cors(app, allow_origins=[*origins, *own]) for path, own in further.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        await of_path(scope, self._by_path, self._default)(scope, receive, send)


def _is_harmless(scope: Scope, headers: Headers) -> bool:
    """Return whether no page of another origin can have sent a request."""
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):  # none: by the user, from the address bar or a bookmark
        return True
    if headers.get("origin"):
        return False
    on_this_machine = site == "same-site" and is_local(host_name(headers.get("host", "")))
    return site is None or on_this_machine or _is_link(scope, headers)


def _is_link(scope: Scope, headers: Headers) -> bool:
    """Return whether the user follows a link: the page with the link cannot see where it leads."""
    destination = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest"))
    return scope.get("method") in ("GET", "HEAD") and destination == ("navigate", "document")


def _is_own(sender: str, headers: Headers) -> bool:
    """Return whether a page comes from this server; its scheme may be that of a proxy in front."""
    return sender.partition("://")[2] == headers.get("host", "").lower()


def _refused(header: str, value: str, cure: str) -> Forbidden:
    return Forbidden(
        f"{header} {shown(value)} is refused: a page of another origin may not use a server without API "
        f"keys; {cure}, or set auth.required (docs/operating.md)",
        field=header,
    )
