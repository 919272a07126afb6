"""When to try again, how long to wait before, and when to stop waiting."""

from __future__ import annotations

import math
import random
import time

from audiograph.errors import AudiographError, ConnectionFailed, WeightsMissing

PASSING_STATUSES = frozenset({429, 502, 503, 504})
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 10.0
LONGEST_RETRY_AFTER = 60.0


def is_passing(error: AudiographError) -> bool:
    """Whether the same request may well succeed a little later."""
    if isinstance(error, WeightsMissing):
        return False
    return isinstance(error, ConnectionFailed) or error.status in PASSING_STATUSES


def pause_before(failures: int, retry_after: float | None = None) -> float:
    """Seconds to wait after so many failures in a row, the first being 1.

    Doubles up to ten seconds. Half of it is chance, so that many clients of a server that fell do not all
    come back in the same instant. A server that names a time is given that time.
    """
    backoff: float = min(FIRST_PAUSE * 2.0 ** (failures - 1), LONGEST_PAUSE) * random.uniform(0.5, 1.0)
    return max(backoff, retry_after or 0.0)


def may_retry(error: AudiographError, failures: int, allowed: int) -> bool:
    """Whether to try again after this error, the given number of failures in a row."""
    patient = (error.retry_after or 0.0) <= LONGEST_RETRY_AFTER
    return failures <= allowed and is_passing(error) and patient


class Deadline:
    """A moment on the monotonic clock, or never."""

    def __init__(self, seconds: float | None) -> None:
        self._end = math.inf if seconds is None else time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds until it; infinite if there is none, never negative."""
        return max(self._end - time.monotonic(), 0.0)

    @property
    def is_set(self) -> bool:
        """Whether there is such a moment."""
        return math.isfinite(self._end)

    @property
    def passed(self) -> bool:
        """Whether no time remains."""
        return self.remaining <= 0.0
