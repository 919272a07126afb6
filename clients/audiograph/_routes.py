"""Paths of the native API."""

from __future__ import annotations

from urllib.parse import quote

from audiograph.schemas import File, Job


def id_of(thing: Job | File | str) -> str:
    """The id of a record, or the id itself."""
    return thing if isinstance(thing, str) else thing.id


def route(*parts: Job | File | str) -> str:
    """``route("jobs", job, "events")`` is ``/v1/jobs/{id}/events``; no part can reach beyond its place."""
    return "/v1/" + "/".join(quote(id_of(part), safe="") for part in parts)
