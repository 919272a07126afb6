"""Server-sent events and WebSockets, as every dialect uses them."""

from starlette.websockets import WebSocket

from audiograph.errors import AudiographError

PING_SECONDS = 15
"""Interval of the comments that keep proxies from closing a quiet stream."""
CLOSE_REASON_BYTES = 123
"""Maximum size of the reason in a WebSocket's close frame (RFC 6455, 5.5)."""


async def close_with_error(socket: WebSocket, error: AudiographError) -> None:
    """Close an accepted WebSocket with 4000 + the error's HTTP status, and its message as the reason."""
    reason = error.message.encode()[:CLOSE_REASON_BYTES].decode(errors="ignore")
    await socket.close(4000 + error.status, reason)
