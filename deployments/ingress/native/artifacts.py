"""``/v1/artifacts``: search, look up and download the files that jobs produced."""

from typing import Annotated

from fastapi import Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from audiograph._patterns import PRINTABLE, SHORT_IDENTIFIER
from audiograph.errors import NotFound, naming_field
from audiograph.schemas import Artifact, ArtifactPage
from deployments.ingress.backend import Backend, BackendDep
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import LinksDep, StrictRouter
from deployments.ingress.native import examples
from deployments.ingress.native.content import send_content
from deployments.ingress.native.errors import errors

router = StrictRouter(prefix="/v1/artifacts", tags=["artifacts"])

ArtifactId = Annotated[str, Path(pattern=SHORT_IDENTIFIER, examples=[examples.ARTIFACT["id"]])]
Word = Annotated[str | None, Query(min_length=1, max_length=128, pattern=PRINTABLE)]
Id = Annotated[str | None, Query(pattern=SHORT_IDENTIFIER)]


@router.get(
    "", summary="Search artifacts, newest first", responses=responses(200, examples.ARTIFACTS) | errors()
)
def search_artifacts(
    *,
    backend: BackendDep,
    links: LinksDep,
    tag: Word = None,
    creator: Word = None,
    variation_set_id: Id = None,
    parent_id: Id = None,
    job_id: Id = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[
        str | None, Query(max_length=256, description="``next_cursor`` of the previous page.")
    ] = None,
) -> ArtifactPage:
    """Return the artifacts that match all of the given conditions, newest first."""
    page = backend.store.search(
        tag=tag,
        creator=creator,
        variation_set_id=variation_set_id,
        parent_id=parent_id,
        job_id=job_id,
        limit=limit,
        cursor=cursor,
    )
    return links.artifacts(page)


@router.get(
    "/{artifact_id}", summary="Look up an artifact", responses=responses(200, examples.ARTIFACT) | errors(404)
)
def get_artifact(artifact_id: ArtifactId, backend: BackendDep, links: LinksDep) -> Artifact:
    """Return an artifact's record with its provenance: job, model, parameters and parent."""
    return links.file(_artifact(backend, artifact_id))


@router.get(
    "/{artifact_id}/content",
    summary="Download an artifact",
    response_class=StreamingResponse,
    responses=responses(200, "the file's bytes", media_type="audio/wav") | errors(404, 416),
)
def get_artifact_content(artifact_id: ArtifactId, request: Request, backend: BackendDep) -> Response:
    """Download an artifact, with ``Range`` (one part) and ``If-None-Match``; the ETag is the SHA-256."""
    return send_content(request, backend.store, _artifact(backend, artifact_id))


def _artifact(backend: Backend, artifact_id: str) -> Artifact:
    with naming_field("artifact_id"):
        record = backend.store.get(artifact_id)
    if not isinstance(record, Artifact):
        raise NotFound(
            f"{artifact_id!r} is an uploaded file, not an artifact; see /v1/files", field="artifact_id"
        )
    return record
