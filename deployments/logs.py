"""Configures JSON logs: one line per record, with the id of the request or job if there is one."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

CURRENT_REQUEST: ContextVar[str | None] = ContextVar("request_id", default=None)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def request_id() -> str | None:
    """Return the id of the request that this context serves."""
    return CURRENT_REQUEST.get()


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON, with its ``extra`` fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record as one line of valid JSON."""
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def _add_request_id(record: logging.LogRecord) -> bool:
    if not hasattr(record, "request_id") and (current := request_id()):
        record.request_id = current
    return True


def configure_logging(level: int = logging.INFO) -> None:
    """Send the application's loggers to Ray Serve's handlers, or to stderr as JSON outside of Serve.

    Serve installs handlers for its own logger only. Without this, the application's records below WARNING
    would be lost.
    """
    handlers = logging.getLogger("ray.serve").handlers or [_stderr()]
    for handler in handlers:
        handler.addFilter(_add_request_id)
    for name in ("audiograph", "deployments"):
        ours = logging.getLogger(name)
        ours.handlers[:] = handlers
        ours.setLevel(level)
        ours.propagate = False


def _stderr() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    return handler
