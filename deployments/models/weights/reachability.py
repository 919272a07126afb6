"""Remembers which hubs can be reached, and which sources have failed, so that nobody waits for them again."""

import json
import logging
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx

logger = logging.getLogger("audiograph.models")

CHECK_SECONDS = 5.0
"""Time limit of a check whether a hub can be reached."""
REMEMBER_SECONDS = 600.0
"""How long a result is remembered."""
FILE_NAME = "sources.json"

_REFUSED = frozenset({401, 403, 407, 451})
"""Statuses of proxies in place of a hub. A 404 or 405 of the hub itself proves that it can be reached."""

_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_results: dict[str, tuple[bool, float]] = {}
"""Results by URL or source: whether it answered, and the time of the attempt (seconds since the epoch)."""


def hub_reachable(url: str, work_dir: Path) -> bool:
    """Return whether a server answers at a URL. Takes at most 5 s, including name resolution.

    The result is remembered for 10 minutes, in this process and, for others, in a file of `work_dir`. A call
    during a check of the same URL waits for its result.
    """
    with _locks[url]:
        reached = remembered(url, work_dir)
        if reached is None:
            reached = _check(url)
            remember(url, reached, work_dir)
            logger.info("%s can%s be reached", url, "" if reached else "not")
        return reached


def remembered(source: str, work_dir: Path) -> bool | None:
    """Return whether a source answered within the last 10 minutes; None if it was not tried."""
    result = _fresh(_results.get(source)) or _fresh(_read(work_dir).get(source))
    if result is not None:
        _results[source] = result
    return result and result[0]


def remember(source: str, answered: bool, work_dir: Path) -> None:
    """Keep for 10 minutes whether a source answered. Of two processes at the same time one may lose it."""
    _results[source] = (answered, time.time())
    fresh = {known: stored for known, stored in _read(work_dir).items() if _fresh(stored)}
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            part = Path(scratch) / FILE_NAME
            part.write_text(json.dumps(fresh | {source: _results[source]}))
            part.replace(work_dir / FILE_NAME)
    except OSError as error:
        logger.warning("cannot remember in %s whether %s answers: %s", work_dir, source, error)


def forget(work_dir: Path) -> None:
    """Forget all results, so that every source is tried again."""
    _results.clear()
    (work_dir / FILE_NAME).unlink(missing_ok=True)


def _fresh(result: tuple[bool, float] | None) -> tuple[bool, float] | None:
    return result if result and 0 <= time.time() - result[1] < REMEMBER_SECONDS else None


def _check(url: str) -> bool:
    """Check in a thread, which is abandoned if it takes too long: name resolution has no timeout."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(_has_answered(url)), daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    return bool(results and results[0])


def _has_answered(url: str) -> bool:
    try:
        response = httpx.head(url, timeout=CHECK_SECONDS, follow_redirects=True)
    except (httpx.HTTPError, OSError) as error:
        logger.info("no answer from %s: %s", url, error)
        return False
    return response.status_code < 500 and response.status_code not in _REFUSED


def _read(work_dir: Path) -> dict[str, tuple[bool, float]]:
    try:
        stored: dict[str, Any] = json.loads((work_dir / FILE_NAME).read_text())
        return {source: (bool(answered), float(at)) for source, (answered, at) in stored.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("cannot read %s in %s (%s); trying again", FILE_NAME, work_dir, error)
        return {}
