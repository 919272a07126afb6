"""Turns pydantic's findings into one message that names the field, the value and the cure."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, get_args

from fastapi.exceptions import ValidationException
from pydantic import BaseModel

from audiograph._patterns import reason
from audiograph._wording import shortened, shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import Request, TaskName

TASKS: tuple[str, ...] = get_args(TaskName)

_LISTED = 10


def explain(error: ValidationException, body: Any = None) -> InvalidRequest:
    """Turn the first finding into an exception; if there are several, ``details.errors`` lists them.

    Args:
        error: FastAPI's findings.
        body: annotation of the route's body, from which messages name the known fields.
    """
    findings = error.errors()
    first = findings[0]
    if len(findings) == 1:
        return InvalidRequest(_message(first, body), field=_field(first))
    listed = [{"field": _field(f), "message": _message(f, body)} for f in findings[:_LISTED]]
    message = f"{_message(first, body)} (and {len(findings) - 1} more, see details)"
    return InvalidRequest(message, field=_field(first), details={"errors": listed})


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, and list the closest known name and all known names."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ";"
    listed = ", ".join(names) if names else "none"
    return f"unknown {kind} {shown(name)}{hint} known: {listed}"


def _message(finding: dict[str, Any], body: Any) -> str:
    kind, field, value = finding["type"], _field(finding), finding.get("input")
    if kind == "extra_forbidden":
        return unknown("field", str(finding["loc"][-1]), _known_fields(finding["loc"], body))
    if kind == "union_tag_invalid":
        return unknown("task", str(finding["ctx"]["tag"]), TASKS)
    if kind == "union_tag_not_found":
        return f"field 'task' is missing; it must be one of: {', '.join(TASKS)}"
    if kind == "missing":
        return f"field {field!r} is missing" if field else "the body is missing; send a JSON object"
    fault = reason(finding)
    fault = fault[:1].lower() + fault[1:]
    return f"{f'field {field!r}' if field else 'the body'}: {fault}, not {shown(value)}"


def _field(finding: dict[str, Any]) -> str | None:
    """Name a finding's field: ``("body", "dialogue", "turns", 0, "text")`` becomes ``"turns.0.text"``."""
    if finding["type"].startswith("union_tag"):
        return "task"
    return ".".join(shortened(str(part)) for part in _path(finding["loc"])) or None


def _path(place: Sequence[str | int]) -> Sequence[str | int]:
    """Return the path that the caller knows: without ``body`` and without the union's tag."""
    return place[2:] if place[0] == "body" and len(place) > 1 and place[1] in TASKS else place[1:]


def _known_fields(place: Sequence[str | int], body: Any) -> list[str]:
    """List the fields of the object with the unknown field."""
    model = _REQUESTS.get(str(place[1])) or _model_within(body)
    for name in _path(place)[:-1]:
        if model and isinstance(name, str):
            model = _model_within(model.model_fields[name].annotation) or model
    return list(model.model_fields) if model else []


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """Find the record inside an annotation such as ``list[Turn]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_within, get_args(annotation))), None)


_REQUESTS: dict[str, type[BaseModel]] = {
    cls.model_fields["task"].default: cls for cls in Request.__subclasses__()
}
