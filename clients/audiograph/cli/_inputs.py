"""Texts that commands take as an argument, from a file or from stdin."""

from __future__ import annotations

import sys
from pathlib import Path

from audiograph._wording import shown
from audiograph.errors import InvalidRequest


def read_text(argument: str, field: str) -> str:
    """Return an argument, or the text of stdin if it is ``-``.

    Raises:
        InvalidRequest: stdin is closed, or no text.
    """
    return _read_stdin(field) if argument == "-" else argument


def read_script(path: str) -> str:
    """Return the text of a file, or of stdin if the path is ``-``.

    Raises:
        InvalidRequest: the file cannot be read; or it or stdin is no text.
    """
    if path == "-":
        return _read_stdin("script")
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"script is {shown(path)}: it {_no_text(error)}", field="script") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidRequest(
            f"script is {shown(path)}: it cannot be read ({reason})", field="script"
        ) from error


def _read_stdin(field: str) -> str:
    if sys.stdin is None:
        raise InvalidRequest(f"{field} is '-', and stdin is closed", field=field)
    try:
        text = sys.stdin.read().removeprefix("\ufeff")
        text.encode(sys.stdin.encoding, errors="surrogateescape").decode(sys.stdin.encoding)
    except UnicodeError as error:
        raise InvalidRequest(f"{field} is '-': stdin {_no_text(error)}", field=field) from error
    return text


def _no_text(error: UnicodeError) -> str:
    encoding = error.encoding if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else "Unicode"
    return f"is not text in {encoding.upper()}; convert it first, for example with iconv"
