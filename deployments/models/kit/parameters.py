"""A model's own parameters of a request, beyond the fields that all models share."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from audiograph.errors import InvalidRequest


class Parameters(BaseModel):
    """Subclass it with one field for each, with its default and range; `checked` fills it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def checked(cls, given: Mapping[str, Any], model: str) -> Self:
        """The parameters of a request to a model of that name, with defaults for those that are absent.

        Raises:
            InvalidRequest: one is unknown, of the wrong type or out of range.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(["parameters", *map(str, fault["loc"])])
        if fault["type"] == "extra_forbidden":
            known = ", ".join(cls.model_fields)
            raise InvalidRequest(f"{field} is unknown; {model} takes {known}", field=field)
        right, value = fault["msg"].removeprefix("Input "), fault["input"]
        raise InvalidRequest(f"{field} {right}, not {value!r}", field=field, details={"value": value})
