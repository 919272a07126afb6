"""Parses JSON strictly: bounded in depth, and only values that every database and JSON reader can hold."""

import json
import math
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from audiograph._wording import shortened
from audiograph.errors import MalformedRequest

MAX_DEPTH = 64
"""Levels of objects and lists, the outermost included. pydantic gives up at 255 of them, json at some 900."""


def parse(content: bytes) -> Any:
    """Parse a body.

    Raises:
        MalformedRequest: it is not JSON or not UTF-8, is nested too deeply, or holds numbers or characters
            that JSON or PostgreSQL cannot represent.
    """
    value = _parsed(content)
    _check(value, depth=0, field=None)
    return value


def _parsed(content: bytes) -> Any:
    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, parse_constant=_not_json, parse_float=_finite, parse_int=_integer)
    except UnicodeDecodeError as error:
        raise MalformedRequest(f"the body is not UTF-8 at byte {error.start}; send JSON in UTF-8") from error
    except RecursionError as error:
        raise _too_deep(None) from error
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not valid JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:
        raise MalformedRequest(f"the body is not valid JSON: {error}") from error


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{shortened(digits)} is too large a number")
    return number


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:
        limit = sys.get_int_max_str_digits()
        raise ValueError(f"a number has {len(digits)} digits and the limit is {limit}") from None


def _check(value: Any, depth: int, field: str | None) -> None:
    """Refuse too many levels, and NUL and lone surrogates: legal in JSON, but not in PostgreSQL and UTF-8.

    ``field`` is the outermost one around the value.
    """
    if isinstance(value, str):
        _check_characters(value, field)
    elif isinstance(value, dict | list):
        if depth == MAX_DEPTH:
            raise _too_deep(field)
        for name, item in _items(value):
            _check_characters(name, field)
            _check(item, depth + 1, field or shortened(name) or None)


def _items(value: dict[str, Any] | list[Any]) -> Iterable[tuple[str, Any]]:
    return value.items() if isinstance(value, dict) else (("", item) for item in value)


def _check_characters(text: str, field: str | None) -> None:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        where = _where(field)
        message = (
            f"{where} has a string with NUL or half of a surrogate pair, which cannot be stored; remove it"
        )
        raise MalformedRequest(message, field=field)


def _too_deep(field: str | None) -> MalformedRequest:
    message = f"{_where(field)} is nested too deeply; the limit is {MAX_DEPTH} levels in the whole body"
    return MalformedRequest(message, field=field)


def _where(field: str | None) -> str:
    return f"field {field!r}" if field else "the body"
