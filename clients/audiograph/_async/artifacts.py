"""``client.artifacts``: what jobs made."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import overload

from audiograph._async import download
from audiograph._async.http import AsyncHttp
from audiograph._async.paging import pages
from audiograph._routes import route
from audiograph.schemas import Artifact, ArtifactPage


class AsyncArtifacts:
    """Look up, search and download artifacts."""

    def __init__(self, http: AsyncHttp) -> None:
        self._http = http

    async def get(self, artifact: str) -> Artifact:
        """The record; raises NotFound."""
        return await self._http.fetch(Artifact, "GET", route("artifacts", artifact))

    async def search(
        self,
        *,
        tag: str | None = None,
        creator: str | None = None,
        variation_set_id: str | None = None,
        parent_id: str | None = None,
        job_id: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Artifact]:
        """Those that meet every given condition, newest first, at most ``limit``, page by page."""
        conditions = {
            "tag": tag,
            "creator": creator,
            "variation_set_id": variation_set_id,
            "parent_id": parent_id,
            "job_id": job_id,
        }
        async for page in pages(self._http, ArtifactPage, route("artifacts"), conditions, limit):
            for artifact in page.data:
                yield artifact

    @overload
    async def download(self, artifact: Artifact | str, to: None = None) -> bytes: ...
    @overload
    async def download(self, artifact: Artifact | str, to: str | os.PathLike[str]) -> Path: ...
    async def download(
        self, artifact: Artifact | str, to: str | os.PathLike[str] | None = None
    ) -> bytes | Path:
        """The bytes, or the path written: ``to`` itself, or inside it if it is a folder or ends with a slash.

        Checked by SHA-256; goes on where a connection broke; a file appears only when it is whole.

        Raises:
            ChecksumMismatch: other bytes came than the server said it keeps.
        """
        record = artifact if isinstance(artifact, Artifact) else await self.get(artifact)
        return await download.deliver(self._http, route("artifacts", record, "content"), record, to)
