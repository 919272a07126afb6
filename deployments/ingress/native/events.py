"""Streams a job's events as server-sent events, or over a WebSocket."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Response, WebSocket
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.websockets import WebSocketDisconnect

from audiograph.errors import AudiographError
from audiograph.schemas import JobEvent
from deployments.ingress.backend import BackendDep
from deployments.ingress.http.links import Links
from deployments.ingress.http.request_log import add_log_fields
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import JobId, LinksDep, StrictRouter
from deployments.ingress.http.streams import (
    PING_SECONDS,
    UNBUFFERED,
    UNSUPPORTED_DATA,
    close,
    unexpected_message,
)
from deployments.ingress.native import examples
from deployments.ingress.native.errors import errors
from deployments.jobs.queue import FINAL_EVENT

router = StrictRouter(prefix="/v1/jobs/{job_id}", tags=["jobs"])

After = Annotated[str | None, Query(max_length=64, description="Id of the last event received.")]
LastEventId = Annotated[
    str | None, Header(max_length=64, description="Sent by EventSource when it reconnects.")
]


@router.get(
    "/events",
    summary="Follow a job",
    response_class=EventSourceResponse,
    responses=responses(200, examples.EVENTS, media_type="text/event-stream")
    | {204: {"description": "No event follows the final one."}}
    | errors(404),
)
async def stream_events(
    job_id: JobId,
    backend: BackendDep,
    links: LinksDep,
    last_event_id: LastEventId = None,
    after: After = None,
) -> Response:
    """Stream the job's events from the first, or from the one after ``Last-Event-ID``.

    The stream ends with the final event (``succeeded``, ``failed`` or ``canceled``), which contains the job.
    The response after it is 204, at which EventSource stops reconnecting.
    """
    await backend.queue.get(job_id)  # an unknown job is a 404, not a stream that breaks off
    if (last_event_id or after) == FINAL_EVENT:
        return Response(status_code=204, headers=UNBUFFERED)
    field = "Last-Event-ID" if last_event_id else "after"
    events = backend.queue.events(job_id, last_event_id or after, field=field)
    return EventSourceResponse(_as_sse(events, links), headers=UNBUFFERED, ping=PING_SECONDS)


@router.websocket("/ws")
async def relay_events(
    socket: WebSocket, job_id: JobId, backend: BackendDep, links: LinksDep, after: After = None
) -> None:
    """Send the same events as JSON text frames, and close with 1000 after the final one.

    Closes with 4000 + the HTTP status on an error, and with 1003 on any message from the client.
    """
    add_log_fields(socket.scope, audio_job_id=job_id)
    events = backend.queue.events(job_id, after)
    await socket.accept()
    try:
        await _relay(socket, events, links)
    except WebSocketDisconnect:
        return


async def _as_sse(events: AsyncIterator[JobEvent], links: Links) -> AsyncIterator[ServerSentEvent]:
    try:
        async for event in events:
            yield ServerSentEvent(links.event(event).model_dump_json(), event=event.type, id=event.id)
    except AudiographError as error:  # the status line is sent: only an event can carry the error
        yield ServerSentEvent(json.dumps({"error": error.to_wire()}), event="error")


async def _relay(socket: WebSocket, events: AsyncIterator[JobEvent], links: Links) -> None:
    """Send every event, then close; stop at once when the client disconnects or sends a message."""
    sending = asyncio.create_task(_send(socket, events, links))
    listening = asyncio.create_task(unexpected_message(socket))
    try:
        await asyncio.wait({sending, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        unfinished = [task for task in (sending, listening) if not task.done()]
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
    if sending.cancelled():
        await close(socket, UNSUPPORTED_DATA, listening.result())
    else:
        sending.result()
        await socket.close()


async def _send(socket: WebSocket, events: AsyncIterator[JobEvent], links: Links) -> None:
    async for event in events:
        await socket.send_text(links.event(event).model_dump_json())
