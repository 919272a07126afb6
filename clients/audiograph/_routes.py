"""Paths of the native API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from audiograph._checks import ModelName, VoiceId, checked
from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import File, Identifier, Job

ITEMS: dict[str, tuple[str, Any, str]] = {
    "jobs": ("job", Identifier, "1 to 64 letters, digits, and characters of _.:-"),
    "files": ("file", Identifier, "1 to 64 letters, digits, and characters of _.:-"),
    "artifacts": ("artifact", Identifier, "1 to 64 letters, digits, and characters of _.:-"),
    "models": ("model", ModelName, "1 to 128 printable characters, without a slash"),
    "voices": ("voice", VoiceId, "1 to 255 printable characters"),  # in the voices folder, a path
}
"""For each collection: the name of an item, and the type and the form of its id."""


def id_of(record: Job | File | str) -> str:
    """Return the id of a record; an id is returned as it is."""
    return record.id if isinstance(record, Job | File) else record


def route(collection: str, *parts: Job | File | str) -> str:
    """Return a path: ``route("jobs", job, "events")`` is ``/v1/jobs/{id}/events``.

    The id, the first part, is checked and quoted, so that none can name another route.

    Raises:
        InvalidRequest: no item of this collection can have the id.
    """
    if not parts:
        return f"/v1/{collection}"
    item, *rest = parts
    return "/".join((f"/v1/{collection}", quote(_checked_id(collection, item), safe=""), *map(str, rest)))


def _checked_id(collection: str, item: Job | File | str) -> str:
    name, kind, form = ITEMS[collection]
    identity = id_of(item)
    try:
        checked(kind, identity, name)
    except InvalidRequest as error:
        raise InvalidRequest(f"{name} is {shown(identity)}: an id is {form}", field=name) from error
    if identity in (".", ".."):
        raise InvalidRequest(f"{name} is {shown(identity)}: that is a folder, not an id", field=name)
    return identity
