"""``/v1/files``: uploads, what is known of them, their bytes, and their removal."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import StreamingResponse

from audiograph.errors import NotFound
from audiograph.schemas import Artifact, File
from deployments.ingress.backend import Injected, Services
from deployments.ingress.http.route import ID_PATTERN, Linked, NativeRoute
from deployments.ingress.native import examples
from deployments.ingress.native.content import send_content
from deployments.ingress.native.examples import answers
from deployments.ingress.native.uploads import receive_upload

router = APIRouter(prefix="/v1/files", tags=["files"], route_class=NativeRoute)

FileId = Annotated[str, Path(pattern=ID_PATTERN, examples=[examples.FILE["id"]])]

_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "Audio of any common kind."}
    },
}


@router.post(
    "",
    status_code=201,
    summary="Upload a file",
    responses=answers(201, examples.FILE, 400, 413),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def upload(request: Request, services: Injected, links: Linked) -> File:
    """Store an audio file. It is decoded whole before it is taken, to measure what it says of itself."""
    return links.file(await receive_upload(request, services.store, services.config.limits))


@router.get("/{file_id}", summary="Look up a file", responses=answers(200, examples.FILE, 404))
def get_file(file_id: FileId, services: Injected, links: Linked) -> File:
    """What is known of an uploaded file."""
    return links.file(_file(services, file_id))


@router.head("/{file_id}/content", include_in_schema=False)
@router.get(
    "/{file_id}/content",
    summary="Download a file",
    response_class=StreamingResponse,
    responses=answers(200, "the bytes", 404, 416, media_type="audio/mpeg"),
)
def get_file_content(file_id: FileId, request: Request, services: Injected) -> Response:
    """Its bytes. ``Range`` (one part), ``If-None-Match`` and ``HEAD`` work; the ETag is the SHA-256."""
    return send_content(request, services.store, _file(services, file_id))


@router.delete("/{file_id}", status_code=204, summary="Delete a file", responses=answers(204, None, 404, 409))
def delete_file(file_id: FileId, services: Injected) -> None:
    """Remove it. A file that a queued or running job needs stays, and the answer is 409."""
    services.store.delete(_file(services, file_id).id)


def _file(services: Services, file_id: str) -> File:
    record = services.store.get(file_id)
    if isinstance(record, Artifact):
        raise NotFound(
            f"{file_id!r} is an artifact, not an uploaded file; see /v1/artifacts", field="file_id"
        )
    return record
