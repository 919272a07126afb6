"""Parses a request's ``parameters``: the fields of one model, beyond those that all models share."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from audiograph._patterns import reason
from audiograph._wording import brief, shortened, shown
from audiograph.errors import InvalidRequest


class Parameters(BaseModel):
    """Base of a model's parameters: subclass it with a field for each, with its default and range."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    @classmethod
    def checked(cls, given: Mapping[str, Any], model: str) -> Self:
        """Parse the given parameters; absent ones take their defaults.

        Args:
            given: of a request.
            model: the model's name, for messages.

        Raises:
            InvalidRequest: a parameter is unknown, of the wrong type or out of range.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
        field = ".".join(["parameters", *(shortened(str(part)) for part in fault["loc"])])
        if fault["type"] == "extra_forbidden":
            known = ", ".join(cls.model_fields)
            raise InvalidRequest(f"{field} is unknown; {model} takes {known}", field=field)
        constraint, value = reason(fault).removeprefix("Input "), fault["input"]
        message = f"{field} {constraint}, not {shown(value)}"
        raise InvalidRequest(message, field=field, details={"value": brief(value)})
