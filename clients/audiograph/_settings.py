"""Settings of a client, from its arguments, the environment, or the defaults, in this order."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import Any

import httpx

from audiograph._version import __version__
from audiograph._wording import shown
from audiograph.errors import InvalidRequest

DEFAULT_URL = "http://127.0.0.1:8000"
MAX_CONNECT_SECONDS = 10.0


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
            InvalidRequest: the URL is not an http or https URL with a host.
        """
        url = base_url or os.environ.get("AUDIOGRAPH_URL") or DEFAULT_URL
        key = api_key or os.environ.get("AUDIOGRAPH_API_KEY") or None
        return cls(_check_url(url), key and key.strip(), timeout, retries, reconnects)

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
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"base_url {shown(url)} is not a URL: {error}", field="base_url") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidRequest(f"base_url must look like {DEFAULT_URL}, not {shown(url)}", field="base_url")
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
