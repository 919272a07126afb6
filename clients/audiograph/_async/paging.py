"""Lists that come in pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from audiograph._async.http import AsyncHttp, Params
from audiograph.schemas import ArtifactPage, JobPage

LARGEST_PAGE = 100

P = TypeVar("P", JobPage, ArtifactPage)


async def pages(
    http: AsyncHttp, record: type[P], path: str, conditions: Params, limit: int | None
) -> AsyncIterator[P]:
    """Pages with at most ``limit`` items together; each is asked for when it is read."""
    cursor = None
    while limit is None or limit > 0:
        size = LARGEST_PAGE if limit is None else min(limit, LARGEST_PAGE)
        params = {**conditions, "limit": size, "cursor": cursor}
        page = await http.fetch(record, "GET", path, params=params)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return
        if limit is not None:
            limit -= len(page.data)
