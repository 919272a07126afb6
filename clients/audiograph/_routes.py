"""Paths of the native API."""

from __future__ import annotations

from urllib.parse import quote

from audiograph.schemas import File, Job


def id_of(record: Job | File | str) -> str:
    """Return the id of a record; an id is returned as it is."""
    return record if isinstance(record, str) else record.id


def route(*parts: Job | File | str) -> str:
    """Return a path: ``route("jobs", job, "events")`` is ``/v1/jobs/{id}/events``.

    Each part is quoted, so that no id can name another route.
    """
    return "/v1/" + "/".join(quote(id_of(part), safe="") for part in parts)
