"""Where the server is and how to speak to it: arguments first, then the environment, then defaults."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from typing import Any

import httpx

from audiograph._version import __version__
from audiograph.errors import InvalidRequest

DEFAULT_URL = "http://127.0.0.1:8000"
LONGEST_CONNECT = 10.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How one client speaks to its server."""

    base_url: str
    """Without a slash at its end."""
    api_key: str | None
    timeout: float
    """Seconds without an answer, or between two parts of one."""
    retries: int
    """Further tries of a request or a download that failed for a passing reason."""
    reconnects: int
    """Further tries in a row of an event stream."""

    @classmethod
    def read(
        cls, base_url: str | None, api_key: str | None, *, timeout: float, retries: int, reconnects: int
    ) -> Settings:
        """Fill in what was not given from ``AUDIOGRAPH_URL`` and ``AUDIOGRAPH_API_KEY``.

        Raises:
            InvalidRequest: the URL is not one of http or https with a host.
        """
        url = base_url or os.environ.get("AUDIOGRAPH_URL") or DEFAULT_URL
        key = api_key or os.environ.get("AUDIOGRAPH_API_KEY") or None
        return cls(_checked(url), key and key.strip(), timeout, retries, reconnects)

    def http_options(self) -> dict[str, Any]:
        """Arguments of the httpx client, blocking or async."""
        headers = {"User-Agent": f"audiograph/{__version__}", "Accept": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        return {
            "base_url": self.base_url,
            "headers": headers,
            "timeout": limits(self.timeout),
            # A proxy of the environment cannot reach a server on this very machine.
            "trust_env": not _is_loopback(self.base_url),
        }


def limits(seconds: float) -> httpx.Timeout:
    """So long without an answer or a part of one, but no more than a little while to connect."""
    return httpx.Timeout(seconds, connect=min(seconds, LONGEST_CONNECT))


def _checked(url: str) -> str:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise InvalidRequest(f"base_url {url!r} is not a URL: {error}", field="base_url") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise InvalidRequest(f"base_url must look like {DEFAULT_URL}, not {url!r}", field="base_url")
    return url.rstrip("/")


def _is_loopback(url: str) -> bool:
    host = httpx.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
