"""Downloads published weights, and remembers whether their hub can be reached."""

import hashlib
import json
import logging
import shutil
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from urllib.request import urlopen

import httpx

from audiograph.errors import WeightsMissing
from deployments.models.base import Engine, LoadContext, Loaded

logger = logging.getLogger("audiograph.models")

CHECK_SECONDS = 5.0
"""Time limit of a check whether a hub can be reached."""
REMEMBER_SECONDS = 600.0
"""How long the result of a check is remembered."""
FILE_NAME = "hubs.json"
READ_TIMEOUT_SECONDS = 30
"""A download that receives nothing for this long has failed."""

_REFUSED = frozenset({401, 403, 407, 451})
"""Statuses of proxies in place of a hub. A 404 or 405 of the hub itself proves that it can be reached."""

_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_results: dict[str, tuple[bool, float]] = {}
"""Results of checks by URL: whether it was reached, and the time of the check (seconds since the epoch)."""


class DownloadFailed(Exception):
    """A published file could not be downloaded; the message is a clause with the reason."""


def load_by_policy(
    context: LoadContext, pretrained: Callable[[], Engine], tiny: Callable[[], Engine]
) -> Loaded[Engine]:
    """Load an engine with published weights, or with tiny random ones, as the context's policy says.

    Raises:
        WeightsMissing: the policy is ``pretrained``, and loading the published weights raised it.
    """
    if context.policy != "tiny":
        try:
            return Loaded(pretrained(), "pretrained")
        except WeightsMissing as error:
            if context.policy == "pretrained":
                raise
            logger.warning("%s Using RANDOM weights, whose results are meaningless.", error)
    return Loaded(tiny(), "random")


def hub_reachable(url: str, work_dir: Path) -> bool:
    """Return whether a server answers at a URL. Takes at most 5 s, including name resolution.

    The result is remembered for 10 minutes, in this process and, for others, in a file of `work_dir`. A call
    during a check of the same URL waits for its result.
    """
    with _locks[url]:
        result = _fresh(_results.get(url)) or _fresh(_read(work_dir).get(url))
        if result is None:
            result = (_check(url), time.time())
            _remember(url, result, work_dir)
            logger.info("%s can%s be reached", url, "" if result[0] else "not")
        _results[url] = result
        return result[0]


def fetch(url: str, target: Path, is_complete: Callable[[Path], bool], work_dir: Path) -> None:
    """Download a published file, complete or not at all; other replicas may download it at the same time.

    Args:
        url: of the file.
        target: path of the downloaded file.
        is_complete: compares a file with the published digest.
        work_dir: the folder that remembers whether the hub can be reached.

    Raises:
        DownloadFailed: the hub cannot be reached, or the download failed.
    """
    if not hub_reachable(urljoin(url, "/"), work_dir):  # one check for all files of a server
        raise DownloadFailed("the server that publishes it cannot be reached")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            part = Path(scratch) / target.name
            with urlopen(url, timeout=READ_TIMEOUT_SECONDS) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            if not is_complete(part):
                raise DownloadFailed("its download failed (the file does not have the published SHA-256)")
            part.replace(target)
    except (OSError, HTTPException) as error:
        raise DownloadFailed(f"its download failed ({error})") from error


def missing_weights(
    model: str, variant: str, url: str, places: Sequence[Path], reason: DownloadFailed
) -> WeightsMissing:
    """Build the error for a published file that is in none of these places; the cure names the first."""
    looked = " and ".join(f"{path} ({'damaged' if path.exists() else 'not there'})" for path in places)
    return WeightsMissing(
        f"{model} {variant}: no pretrained weights. Looked for {looked}; {reason}. "
        f"Put the file from {url} at {places[0]}, or set weights to auto or tiny for random ones.",
        details={
            "variant": variant,
            "url": url,
            "looked_in": [str(path) for path in places],
        },
    )


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
        return {url: (bool(reached), float(at)) for url, (reached, at) in stored.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        logger.warning("cannot read %s in %s (%s); checking again", FILE_NAME, work_dir, error)
        return {}


def _remember(url: str, result: tuple[bool, float], work_dir: Path) -> None:
    """Write all results, or none. Of two processes at the same time one may lose its result."""
    fresh = {known: stored for known, stored in _read(work_dir).items() if _fresh(stored)}
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            part = Path(scratch) / FILE_NAME
            part.write_text(json.dumps(fresh | {url: result}))
            part.replace(work_dir / FILE_NAME)
    except OSError as error:
        logger.warning("cannot remember in %s whether %s can be reached: %s", work_dir, url, error)
