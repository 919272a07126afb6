"""Retries, backoff and deadlines."""

from __future__ import annotations

import math
import random
import time

from audiograph.errors import AudiographError, ConnectionFailed, WeightsMissing

TRANSIENT_STATUSES = frozenset({429, 502, 503, 504})
INITIAL_BACKOFF = 0.5
MAX_BACKOFF = 10.0
MAX_RETRY_AFTER = 60.0


def is_transient(error: AudiographError) -> bool:
    """Return whether the same request may succeed a little later."""
    if isinstance(error, WeightsMissing):
        return False
    return isinstance(error, ConnectionFailed) or error.status in TRANSIENT_STATUSES


def backoff(failures: int, retry_after: float | None = None) -> float:
    """Return the seconds to wait after a number of consecutive failures, at least ``retry_after``.

    The time doubles with each failure, up to ten seconds. Half of it is random, so that the clients of a
    server that failed do not all return at the same moment.
    """
    seconds: float = min(INITIAL_BACKOFF * 2.0 ** (failures - 1), MAX_BACKOFF) * random.uniform(0.5, 1.0)
    return max(seconds, retry_after or 0.0)


def should_retry(error: AudiographError, failures: int, allowed: int) -> bool:
    """Return whether to retry after a number of consecutive failures, of which ``error`` is the last."""
    is_soon = (error.retry_after or 0.0) <= MAX_RETRY_AFTER
    return failures <= allowed and is_transient(error) and is_soon


class Deadline:
    """A moment on the monotonic clock, or never."""

    def __init__(self, seconds: float | None) -> None:
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds until the deadline: never negative, and infinite without one."""
        return max(self._end - time.monotonic(), 0.0)

    @property
    def is_set(self) -> bool:
        """Whether there is a deadline."""
        return math.isfinite(self._end)

    @property
    def passed(self) -> bool:
        """Whether no time remains."""
        return self.remaining <= 0.0
