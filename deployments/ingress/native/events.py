"""A job's events as they come: server-sent events, and the same over a WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, NoReturn

from fastapi import APIRouter, Header, Query, WebSocket
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.websockets import WebSocketDisconnect

from audiograph.errors import AudiographError
from audiograph.schemas import JobEvent
from deployments.ingress.backend import Injected
from deployments.ingress.http.links import Links
from deployments.ingress.http.request_log import note
from deployments.ingress.http.route import JobId, Linked, NativeRoute
from deployments.ingress.native import examples
from deployments.ingress.native.examples import answers

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"], route_class=NativeRoute)

PING_SECONDS = 15
"""Between the comments that keep proxies from closing a quiet stream."""
CLOSE_REASON_BYTES = 123
"""The most that a WebSocket's close frame can hold."""

After = Annotated[str | None, Query(max_length=64, description="Id of the last event seen.")]
LastEventId = Annotated[
    str | None, Header(max_length=64, description="Sent by EventSource when it reconnects.")
]


@router.get(
    "/events",
    summary="Follow a job",
    response_class=EventSourceResponse,
    responses=answers(200, examples.EVENTS, 404, media_type="text/event-stream"),
)
async def stream_events(
    job_id: JobId, services: Injected, links: Linked, last_event_id: LastEventId = None, after: After = None
) -> EventSourceResponse:
    """Server-sent events, from the first one or from the one after ``Last-Event-ID``.

    The stream ends with the final event (``succeeded``, ``failed`` or ``canceled``), which carries the job.
    """
    await services.queue.get(job_id)  # an unknown job is a 404, not a stream that breaks off
    events = services.queue.events(job_id, last_event_id or after)
    return EventSourceResponse(_as_sse(events, links), ping=PING_SECONDS)


@router.websocket("/ws")
async def relay_events(
    socket: WebSocket, job_id: JobId, services: Injected, links: Linked, after: After = None
) -> None:
    """The same events as JSON text frames. Closes with 1000 after the final one."""
    note(socket.scope, audio_job_id=job_id)
    await socket.accept()
    try:
        await _relay(socket, services.queue.events(job_id, after), links)
        await socket.close()
    except WebSocketDisconnect:
        return
    except AudiographError as error:
        await refuse(socket, error)


async def refuse(socket: WebSocket, error: AudiographError) -> None:
    """Close an accepted WebSocket with 4000 + the error's HTTP status, and its message as the reason."""
    reason = error.message.encode()[:CLOSE_REASON_BYTES].decode(errors="ignore")
    await socket.close(4000 + error.status, reason)


async def _as_sse(events: AsyncIterator[JobEvent], links: Links) -> AsyncIterator[ServerSentEvent]:
    try:
        async for event in events:
            yield ServerSentEvent(links.event(event).model_dump_json(), event=event.type, id=event.id)
    except AudiographError as error:  # the status line has gone out: only the stream itself can tell
        yield ServerSentEvent(json.dumps({"error": error.to_wire()}), event="error")


async def _relay(socket: WebSocket, events: AsyncIterator[JobEvent], links: Links) -> None:
    """Send every event; stop at once when the other side has gone."""
    sending = asyncio.create_task(_send(socket, events, links))
    leaving = asyncio.create_task(_until_gone(socket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        unfinished = [task for task in (sending, leaving) if not task.done()]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
    await (leaving if sending.cancelled() else sending)


async def _send(socket: WebSocket, events: AsyncIterator[JobEvent], links: Links) -> None:
    async for event in events:
        await socket.send_text(links.event(event).model_dump_json())


async def _until_gone(socket: WebSocket) -> NoReturn:
    while True:  # what the other side says is of no interest, only that it closes
        await socket.receive_text()
