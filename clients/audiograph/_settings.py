"""Settings of a client, from its arguments, the environment, or the defaults, in this order."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import Any

import httpx

from audiograph._checks import Count, PositiveSeconds, checked
from audiograph._version import __version__
from audiograph._wording import shown
from audiograph.errors import InvalidRequest

DEFAULT_URL = "http://127.0.0.1:8000"
MAX_CONNECT_SECONDS = 10.0
MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """URL, API key, timeout and retries of one client."""

    base_url: str
    """Without a trailing slash."""
    api_key: str | None
    timeout: float
    """Seconds to wait for a response, or for its next bytes."""
    retries: int
    """Retries of a request or download after a transient failure."""
    reconnects: int
    """Consecutive reconnections of an event stream without progress."""

    @classmethod
    def read(
        cls, base_url: str | None, api_key: str | None, *, timeout: float, retries: int, reconnects: int
    ) -> Settings:
        """Return the settings; ``AUDIOGRAPH_URL`` and ``AUDIOGRAPH_API_KEY`` stand in for None.

        Raises:
            InvalidRequest: the URL is not an http or https URL with a host, the key cannot be part of a
                header, or a number is negative or not a number.
        """
        url = base_url or os.environ.get("AUDIOGRAPH_URL") or DEFAULT_URL
        key = api_key or os.environ.get("AUDIOGRAPH_API_KEY") or None
        return cls(
            _check_url(url),
            key and _check_key(key.strip()),
            checked(PositiveSeconds, timeout, "timeout"),
            checked(Count, retries, "retries"),
            checked(Count, reconnects, "reconnects"),
        )

    def http_options(self) -> dict[str, Any]:
        """Return the arguments of the httpx client, blocking or async."""
        headers = {"User-Agent": f"audiograph/{__version__}", "Accept": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return {
            "base_url": self.base_url,
            "headers": headers,
            "timeout": timeouts(self.timeout),
            # A proxy set in the environment cannot reach a server on this machine.
            "trust_env": not _is_loopback(self.base_url),
        }


def timeouts(seconds: float) -> httpx.Timeout:
    """Return the timeouts of a request: ``seconds``, but at most ten to connect."""
    return httpx.Timeout(seconds, connect=min(seconds, MAX_CONNECT_SECONDS))


def _check_url(url: str) -> str:
    try:
        parsed = httpx.URL(url)
        parsed.raw_host.decode().encode("idna")  # as the resolver does, which knows no label of 64 letters
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _invalid_url(url, f"it is not a URL: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise _invalid_url(url, f"it must look like {DEFAULT_URL}")
    if parsed.port is not None and not 0 < parsed.port <= MAX_PORT:
        raise _invalid_url(url, f"its port must be from 1 to {MAX_PORT}")
    if parsed.query or parsed.fragment:
        raise _invalid_url(url, "it must end with its path, without ? and #")
    return url.rstrip("/")


def _invalid_url(url: str, reason: str) -> InvalidRequest:
    source = "the server's URL (--url, base_url or AUDIOGRAPH_URL)"
    return InvalidRequest(f"{source} is {shown(url)}: {reason}", field="base_url")


def _check_key(key: str) -> str:
    """Return a key that can be part of a header; the message never shows it."""
    if not (key.isascii() and key.isprintable()):
        raise InvalidRequest(
            "the API key (--api-key, api_key or AUDIOGRAPH_API_KEY) has characters other than printable "
            "ASCII: copy it again as `audiograph keys create` printed it",
            field="api_key",
        )
    return key


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
