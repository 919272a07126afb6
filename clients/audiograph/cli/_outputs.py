"""Where commands save their results."""

from __future__ import annotations

from pathlib import Path

from audiograph._saving import check_writable
from audiograph._wording import shown
from audiograph.errors import InvalidRequest


def check_output(target: Path) -> None:
    """Check, before a request is sent, that its result can be saved at a path, or in the folder there.

    Raises:
        InvalidRequest: no file can be written there.
    """
    try:
        check_writable(target)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"output is {shown(str(target))}: no file can be written there ({reason})"
        raise InvalidRequest(f"{message}; choose another --output", field="output") from error
