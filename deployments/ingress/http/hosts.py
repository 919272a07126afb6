"""Refuses requests to a server without API keys that name another host, against DNS rebinding.

The owner of a page can make its name lead to this machine. The page's requests are then of the same origin,
and it may read the responses. But ``Host`` still has the page's name. So only names that no other machine can
take are served: ``localhost``, which browsers resolve themselves; IP addresses; and configured names.
"""

import ipaddress
import re
import socket

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from audiograph._wording import shown
from audiograph.errors import Forbidden
from deployments.config import HttpConfig, is_loopback, origin_of
from deployments.ingress.http.errors import respond
from deployments.ingress.http.request_log import add_log_fields

_PORT = re.compile(r":\d*$")
_IPV4 = re.compile(r"[0-9a-fx.]+")
"""IPv4 in any of its spellings, such as 127.1, which some clients send as they are."""


class RequireHost:
    """ASGI middleware: serves this machine's names, configured ones, and requests without ``Host``."""

    def __init__(self, app: ASGIApp, config: HttpConfig) -> None:
        self._app = app
        public = host_name((origin_of(config.public_url or "") or "").partition("://")[2])
        self._names = frozenset([*config.allowed_hosts, public])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        host = Headers(scope=scope).get("host", "") if scope["type"] != "lifespan" else ""
        if self._serves(host):
            await self._app(scope, receive, send)
            return
        refusal = _refusal(host)
        add_log_fields(scope, refused=refusal.message)
        await respond(refusal, scope, receive, send)

    def _serves(self, host: str) -> bool:
        name = host_name(host)
        return not name or is_local(name) or _is_address(name) or self._is_configured(name)

    def _is_configured(self, name: str) -> bool:
        if "*" in self._names or name in self._names:
            return True
        return any(known.startswith("*.") and name.endswith(known[1:]) for known in self._names)


def host_name(host: str) -> str:
    """Return the name or address in a ``Host`` header, in lower case, without port, brackets and last dot."""
    bare = host if host.count(":") > 1 and not host.startswith("[") else _PORT.sub("", host)
    return bare.strip("[]").rstrip(".").lower()


def is_local(name: str) -> bool:
    """Return whether a name always means the machine of the browser (RFC 6761, 6.3)."""
    return name.endswith(".localhost") or is_loopback(name)


def _is_address(name: str) -> bool:
    try:
        socket.inet_aton(name) if _IPV4.fullmatch(name) else ipaddress.IPv6Address(name)
    except (OSError, ValueError):
        return False
    return True


def _refusal(host: str) -> Forbidden:
    name = shown(host_name(host))
    return Forbidden(
        f"Host {shown(host)} is refused: without API keys, a server is only served as localhost, by IP "
        f"address, and by the names in http.allowed_hosts; add {name} there, or set auth.required "
        "(docs/operating.md)",
        field="Host",
    )
