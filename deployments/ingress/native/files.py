"""``/v1/files``: upload, look up, download and delete files."""

from typing import Annotated, Any

from fastapi import Path, Request, Response
from fastapi.responses import StreamingResponse

from audiograph._patterns import SHORT_IDENTIFIER
from audiograph.errors import NotFound, naming_field
from audiograph.schemas import Artifact, File
from deployments.ingress.backend import Backend, BackendDep
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import LinksDep, StrictRouter
from deployments.ingress.native import examples
from deployments.ingress.native.content import send_content
from deployments.ingress.native.errors import errors
from deployments.ingress.native.uploads import receive_upload

router = StrictRouter(prefix="/v1/files", tags=["files"])

FileId = Annotated[str, Path(pattern=SHORT_IDENTIFIER, examples=[examples.FILE["id"]])]

_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary", "description": "Audio in any common format."},
        "track": {
            "type": "integer",
            "minimum": 1,
            "description": "Number of the audio track, from 1; left out, the default one is heard.",
        },
    },
}


@router.post(
    "",
    status_code=201,
    summary="Upload a file",
    responses=responses(201, examples.FILE) | errors(400, 413),
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def upload(request: Request, backend: BackendDep, links: LinksDep) -> File:
    """Store an audio file, after decoding it completely to measure duration, sample rate and channels.

    Of several audio tracks, the default one is heard, or the one that the field ``track`` names. The record's
    notes say which it was. Gaps in the sound become silence. If the sound begins after the picture, the
    record has its ``offset``, and the times in results count from the beginning of the file.
    """
    return links.file(await receive_upload(request, backend.store, backend.config.limits))


@router.get("/{file_id}", summary="Look up a file", responses=responses(200, examples.FILE) | errors(404))
def get_file(file_id: FileId, backend: BackendDep, links: LinksDep) -> File:
    """Return the record of an uploaded file."""
    return links.file(_file(backend, file_id))


@router.get(
    "/{file_id}/content",
    summary="Download a file",
    response_class=StreamingResponse,
    responses=responses(200, "the file's bytes", media_type="audio/mpeg") | errors(404, 416),
)
def get_file_content(file_id: FileId, request: Request, backend: BackendDep) -> Response:
    """Download a file, with ``Range`` (one part) and ``If-None-Match``; the ETag is the SHA-256."""
    return send_content(request, backend.store, _file(backend, file_id))


@router.delete(
    "/{file_id}", status_code=204, summary="Delete a file", responses=responses(204, None) | errors(404, 409)
)
def delete_file(file_id: FileId, backend: BackendDep) -> None:
    """Delete a file. A file that a queued or running job needs is kept, and the response is 409."""
    file = _file(backend, file_id)
    with naming_field("file_id"):
        backend.store.delete(file.id)


def _file(backend: Backend, file_id: str) -> File:
    with naming_field("file_id"):
        record = backend.store.get(file_id)
    if isinstance(record, Artifact):
        raise NotFound(
            f"{file_id!r} is an artifact, not an uploaded file; see /v1/artifacts", field="file_id"
        )
    return record
