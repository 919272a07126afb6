"""Streams and WebSockets, as every dialect uses them."""

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from audiograph.errors import AudiographError

PING_SECONDS = 15
"""Interval of the comments that keep proxies from closing a quiet stream."""
CLOSE_REASON_BYTES = 123
"""Maximum size of the reason in a WebSocket's close frame (RFC 6455, 5.5)."""
UNBUFFERED = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
"""Headers of every response that is made while it is sent: a proxy passes each part on, and keeps none."""
UNSUPPORTED_DATA = 1003
"""Close code of a message that an endpoint does not take (RFC 6455, 7.4.1)."""


async def close_with_error(socket: WebSocket, error: AudiographError) -> None:
    """Close a WebSocket with 4000 + the error's HTTP status, and its message as the reason."""
    await close(socket, 4000 + error.status, error.message)


async def close(socket: WebSocket, code: int, reason: str) -> None:
    """Close a WebSocket; it is accepted first, since browsers hide the reason of a refused handshake."""
    if socket.application_state is WebSocketState.CONNECTING:
        await socket.accept()
    await socket.close(code, reason.encode()[:CLOSE_REASON_BYTES].decode(errors="ignore"))


async def unexpected_message(socket: WebSocket) -> str:
    """Wait for a message on a WebSocket that only sends, and return the reason to close it.

    Raises:
        WebSocketDisconnect: the client has left.
    """
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message["code"], message.get("reason"))
    kind = "binary data" if message.get("text") is None else "text"
    return f"this WebSocket only sends: it takes no {kind}; connect again, and send no messages"
