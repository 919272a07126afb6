"""Sends stored files: ranges, conditional requests and HEAD."""

import re
from collections.abc import Iterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from audiograph._wording import shown
from audiograph.errors import RangeNotSatisfiable
from audiograph.schemas import File
from deployments.ingress.http.disposition import attachment
from deployments.storage.artifacts import ArtifactStore

_RANGE = re.compile(r"bytes\s*=\s*([0-9]{0,1000})\s*-\s*([0-9]{0,1000})", re.IGNORECASE)


def send_content(request: Request, store: ArtifactStore, record: File) -> Response:
    """Respond with a file's bytes, or with the requested range of them.

    Raises:
        RangeNotSatisfiable: the range begins beyond the end.
    """
    headers = _headers(record)
    if _matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    part = _part(request, record, headers["ETag"])
    start, stop = part or (0, record.bytes)
    headers["Content-Length"] = str(stop - start)
    if part:
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{record.bytes}"
    status = 206 if part else 200
    if request.method == "HEAD":  # whose response reads nothing from storage
        return Response(status_code=status, headers=headers, media_type=record.media_type)
    return StreamingResponse(
        store.read(record.id, start, stop), status, headers, media_type=record.media_type
    )


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Parse a ``Range`` of one part into start and stop (RFC 9110, 14.2); None if absent or invalid.

    Raises:
        RangeNotSatisfiable: the range begins beyond ``size`` bytes.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if not found or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if first and last and int(last) < int(first):
        return None
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size:
        message = f"range {shown(header)} lies beyond the {size} bytes of the file"
        raise RangeNotSatisfiable(message, field="Range", details={"size": size})
    return start, stop


def _headers(record: File) -> dict[str, str]:
    return {
        "ETag": f'"{record.sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",  # the content of an id never changes, but it can be deleted
        "Content-Disposition": attachment(record.name),
        "X-Content-Type-Options": "nosniff",
    }


def _part(request: Request, record: File, etag: str) -> tuple[int, int] | None:
    unchanged = request.headers.get("if-range", etag) == etag
    return parse_range(request.headers.get("range"), record.bytes) if unchanged else None


def _matches(header: str | None, etag: str) -> bool:
    return header is not None and any(tag in ("*", etag) for tag in _tags(header))


def _tags(header: str) -> Iterator[str]:
    return (tag.strip().removeprefix("W/") for tag in header.split(","))
