"""OpenAPI's ``responses`` of a route, with examples."""

from typing import Any

from pydantic import BaseModel


def responses(status: int, example: Any, *, media_type: str = "application/json") -> dict[int | str, Any]:
    """Describe the success of a route by an example."""
    return {status: {"content": {media_type: {"example": example}}}}


def error_response(description: str, model: type[BaseModel], example: Any) -> dict[str, Any]:
    """Describe an error by its body's model and an example of it."""
    content = {"application/json": {"example": example}}
    return {"model": model, "description": description, "content": content}
