"""Paginated lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeVar

from audiograph._async.http import AsyncHttp, QueryParams
from audiograph._checks import Count, checked
from audiograph.schemas import ArtifactPage, JobPage

MAX_PAGE_SIZE = 100

Page = TypeVar("Page", JobPage, ArtifactPage)


async def pages(
    http: AsyncHttp, record: type[Page], path: str, conditions: QueryParams, limit: int | None
) -> AsyncIterator[Page]:
    """Yield pages with at most ``limit`` items in all; each is requested when it is needed.

    Raises:
        InvalidRequest: the limit is negative, or no integer.
    """
    limit = checked(Count | None, limit, "limit")
    cursor = None
    while limit is None or limit > 0:
        size = MAX_PAGE_SIZE if limit is None else min(limit, MAX_PAGE_SIZE)
        params = {**conditions, "limit": size, "cursor": cursor}
        page = await http.fetch(record, "GET", path, params=params)
        yield page
        cursor = page.next_cursor
        if cursor is None:
            return
        if limit is not None:
            limit -= len(page.data)
