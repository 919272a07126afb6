"""Checks of arguments before anything is sent, and the messages of what is refused."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, Field, StringConstraints, TypeAdapter, ValidationError

from audiograph._patterns import EVENT_ID, IDEMPOTENCY_KEY, PRINTABLE, WITHOUT_SLASH, reason
from audiograph._wording import shown
from audiograph.errors import InvalidRequest

ModelT = TypeVar("ModelT", bound=BaseModel)
Value = TypeVar("Value")

Seconds = Annotated[float, Field(ge=0)]
FiniteSeconds = Annotated[float, Field(ge=0, lt=1e9)]
PositiveSeconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
Track = Annotated[int, Field(ge=1, strict=True)]
IdempotencyKey = Annotated[str, StringConstraints(pattern=IDEMPOTENCY_KEY)]
EventId = Annotated[str, StringConstraints(pattern=EVENT_ID)]
VoiceId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=PRINTABLE)]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=WITHOUT_SLASH)]


def checked(kind: Any, value: Value, field: str) -> Value:
    """Return a value that is valid for a type with constraints.

    Raises:
        InvalidRequest: the value is not valid; the message names the field, the value and the valid range.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    try:
        return cast(Value, adapter.validate_python(value))
    except ValidationError as error:
        raise invalid(error, field) from error


def build(model: type[ModelT], **fields: Any) -> ModelT:
    """Build a record of the API from its fields.

    Raises:
        InvalidRequest: as `checked`.
    """
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise invalid(error) from error


def check_callback(on_progress: object) -> None:
    """Check the function that is called with each event.

    Raises:
        TypeError: it cannot be called.
    """
    if on_progress is not None and not callable(on_progress):
        raise TypeError(f"on_progress must be a function of one event, not {shown(on_progress)}")


def invalid(error: ValidationError, field: str = "", skip: int = 0) -> InvalidRequest:
    """Return the exception of the first mistake.

    ``field`` is the place of the validated value, and ``skip`` the number of leading parts of the mistake's
    place that the caller did not write.
    """
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(part for part in (field, *map(str, first["loc"][skip:])) if part)
    return InvalidRequest(": ".join(part for part in (place, fault(error)) if part), field=place)


def fault(error: ValidationError) -> str:
    """Describe the first mistake with its value, in one line."""
    first = error.errors(include_url=False)[0]
    text, value = reason(first), first["input"]
    if isinstance(value, str) and repr(value) in text:
        return text.replace(repr(value), shown(value))
    return text if first["type"] == "missing" else f"{text} (given: {shown(value)})"
