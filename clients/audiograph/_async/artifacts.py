"""``client.artifacts``: the files that jobs produced."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import overload

from audiograph._async import download
from audiograph._async.http import AsyncHttp
from audiograph._async.paging import pages
from audiograph._checks import checked
from audiograph._routes import route
from audiograph.schemas import Artifact, ArtifactPage, Identifier, Name


class AsyncArtifacts:
    """Look up, search and download artifacts."""

    def __init__(self, http: AsyncHttp) -> None:
        self._http = http

    async def get(self, artifact: str) -> Artifact:
        """Return the record of an artifact; raises NotFound."""
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
        """Yield at most ``limit`` artifacts that meet every condition, newest first; pages load as needed.

        Raises:
            InvalidRequest: a condition is empty, too long or has characters that none of its kind has.
        """
        conditions = {
            "tag": checked(Name | None, tag, "tag"),
            "creator": checked(Name | None, creator, "creator"),
            "variation_set_id": checked(Identifier | None, variation_set_id, "variation_set_id"),
            "parent_id": checked(Identifier | None, parent_id, "parent_id"),
            "job_id": checked(Identifier | None, job_id, "job_id"),
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
        """Return the bytes, or save them and return the path.

        The path is ``to``, or a file inside of ``to`` if that is a folder or ends with a slash. A broken
        download is resumed, the SHA-256 is verified, and the file appears only when it is complete.

        Raises:
            ChecksumMismatch: the bytes do not match the artifact's SHA-256.
            OSError: no file can be written to ``to``.
        """
        await download.check_target(to)
        record = artifact if isinstance(artifact, Artifact) else await self.get(artifact)
        return await download.read_or_save(self._http, route("artifacts", record, "content"), record, to)
