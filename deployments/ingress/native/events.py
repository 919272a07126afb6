"""Streams a job's events as server-sent events, or over a WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, NoReturn

from fastapi import APIRouter, Header, Query, WebSocket
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.websockets import WebSocketDisconnect

from audiograph.errors import AudiographError, naming_field
from audiograph.schemas import JobEvent
from deployments.ingress.backend import BackendDep
from deployments.ingress.http.links import Links
from deployments.ingress.http.request_log import add_log_fields
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import JobId, LinksDep, StrictRoute
from deployments.ingress.http.streams import PING_SECONDS, close_with_error
from deployments.ingress.native import examples
from deployments.ingress.native.errors import errors

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"], route_class=StrictRoute)

After = Annotated[str | None, Query(max_length=64, description="Id of the last event received.")]
LastEventId = Annotated[
    str | None, Header(max_length=64, description="Sent by EventSource when it reconnects.")
]


@router.get(
    "/events",
    summary="Follow a job",
    response_class=EventSourceResponse,
    responses=responses(200, examples.EVENTS, media_type="text/event-stream") | errors(404),
)
async def stream_events(
    job_id: JobId,
    backend: BackendDep,
    links: LinksDep,
    last_event_id: LastEventId = None,
    after: After = None,
) -> EventSourceResponse:
    """Stream the job's events from the first, or from the one after ``Last-Event-ID``.

    The stream ends with the final event (``succeeded``, ``failed`` or ``canceled``), which contains the job.
    """
    await backend.queue.get(job_id)  # an unknown job is a 404, not a stream that breaks off
    with naming_field("Last-Event-ID" if last_event_id else "after"):
        events = backend.queue.events(job_id, last_event_id or after)
    return EventSourceResponse(_as_sse(events, links), ping=PING_SECONDS)


@router.websocket("/ws")
async def relay_events(
    socket: WebSocket, job_id: JobId, backend: BackendDep, links: LinksDep, after: After = None
) -> None:
    """Send the same events as JSON text frames, and close with 1000 after the final one."""
    add_log_fields(socket.scope, audio_job_id=job_id)
    await socket.accept()
    try:
        await _relay(socket, backend.queue.events(job_id, after), links)
        await socket.close()
    except WebSocketDisconnect:
        return
    except AudiographError as error:
        await close_with_error(socket, error)


async def _as_sse(events: AsyncIterator[JobEvent], links: Links) -> AsyncIterator[ServerSentEvent]:
    try:
        async for event in events:
            yield ServerSentEvent(links.event(event).model_dump_json(), event=event.type, id=event.id)
    except AudiographError as error:  # the status line is sent: only an event can carry the error
        yield ServerSentEvent(json.dumps({"error": error.to_wire()}), event="error")


async def _relay(socket: WebSocket, events: AsyncIterator[JobEvent], links: Links) -> None:
    """Send every event; stop at once when the client disconnects."""
    sending = asyncio.create_task(_send(socket, events, links))
    leaving = asyncio.create_task(_until_disconnect(socket))
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


async def _until_disconnect(socket: WebSocket) -> NoReturn:
    while True:  # the client's messages are ignored; receive_text raises when it disconnects
        await socket.receive_text()
