"""Finds what belongs to the dialect of a request, by the path that its routes lie below."""

from collections.abc import Mapping
from typing import TypeVar

from starlette.types import Scope

Value = TypeVar("Value")


def of_path(scope: Scope, by_path: Mapping[str, Value], default: Value) -> Value:
    """Return the value of the path that a request lies at or below; the default if there is none."""
    path = f"{scope.get('path', '')}/"
    return next((value for start, value in by_path.items() if path.startswith(f"{start}/")), default)
