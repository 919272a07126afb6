"""``/v1/artifacts``: what jobs made, where it came from, its bytes, and search."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from audiograph.errors import NotFound
from audiograph.schemas import Artifact, ArtifactPage
from deployments.ingress.backend import Injected, Services
from deployments.ingress.http.route import ID_PATTERN, PRINTABLE, Linked, NativeRoute
from deployments.ingress.native import examples
from deployments.ingress.native.content import send_content
from deployments.ingress.native.examples import answers

router = APIRouter(prefix="/v1/artifacts", tags=["artifacts"], route_class=NativeRoute)

ArtifactId = Annotated[str, Path(pattern=ID_PATTERN, examples=[examples.ARTIFACT["id"]])]
Word = Annotated[str | None, Query(min_length=1, max_length=128, pattern=PRINTABLE)]
Id = Annotated[str | None, Query(pattern=ID_PATTERN)]


@router.get("", summary="Search artifacts, newest first", responses=answers(200, examples.ARTIFACTS))
def search_artifacts(
    *,
    services: Injected,
    links: Linked,
    tag: Word = None,
    creator: Word = None,
    variation_set_id: Id = None,
    parent_id: Id = None,
    job_id: Id = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[
        str | None, Query(max_length=256, description="``next_cursor`` of the page before.")
    ] = None,
) -> ArtifactPage:
    """The artifacts that meet every condition given."""
    page = services.store.search(
        tag=tag,
        creator=creator,
        variation_set_id=variation_set_id,
        parent_id=parent_id,
        job_id=job_id,
        limit=limit,
        cursor=cursor,
    )
    return links.artifacts(page)


@router.get("/{artifact_id}", summary="Look up an artifact", responses=answers(200, examples.ARTIFACT, 404))
def get_artifact(artifact_id: ArtifactId, services: Injected, links: Linked) -> Artifact:
    """What is known of an artifact: the job, model and parameters that made it, and what it derives from."""
    return links.file(_artifact(services, artifact_id))


@router.head("/{artifact_id}/content", include_in_schema=False)
@router.get(
    "/{artifact_id}/content",
    summary="Download an artifact",
    response_class=StreamingResponse,
    responses=answers(200, "the bytes", 404, 416, media_type="audio/wav"),
)
def get_artifact_content(artifact_id: ArtifactId, request: Request, services: Injected) -> Response:
    """Its bytes. ``Range`` (one part), ``If-None-Match`` and ``HEAD`` work; the ETag is the SHA-256."""
    return send_content(request, services.store, _artifact(services, artifact_id))


def _artifact(services: Services, artifact_id: str) -> Artifact:
    record = services.store.get(artifact_id)
    if not isinstance(record, Artifact):
        raise NotFound(
            f"{artifact_id!r} is an uploaded file, not an artifact; see /v1/files", field="artifact_id"
        )
    return record
