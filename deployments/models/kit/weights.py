"""Published weights: fetching them, and whether their hub can be reached, which is asked and remembered."""

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
REMEMBER_SECONDS = 600.0
FILE_NAME = "hubs.json"

_REFUSED = frozenset({401, 403, 407, 451})
"""What proxies answer in a hub's stead. A 404 or 405 of the hub itself shows that it is there."""

SILENCE_SECONDS = 30
"""A download that says nothing for so long is given up."""

_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_answers: dict[str, tuple[bool, float]] = {}
"""By URL: whether it was reached, and when that was found out (seconds since the epoch)."""


class DownloadFailed(Exception):
    """Why a published file could not be had, as a clause."""


def load_by_policy(
    context: LoadContext, pretrained: Callable[[], Engine], tiny: Callable[[], Engine]
) -> Loaded[Engine]:
    """An engine with published weights, or with tiny random ones, as the context's policy says.

    Raises:
        WeightsMissing: the policy is ``pretrained``, and that is what loading them raised.
    """
    if context.policy != "tiny":
        try:
            return Loaded(pretrained(), "pretrained")
        except WeightsMissing as error:
            if context.policy == "pretrained":
                raise
            logger.warning("%s Going on with RANDOM weights, whose results mean nothing.", error)
    return Loaded(tiny(), "random")


def hub_reachable(url: str, work_dir: Path) -> bool:
    """Whether something answers at a URL, found out within 5 s, name resolution included.

    The answer is remembered for 10 minutes: in this process, and in a file of `work_dir` for others.
    Who asks while the same question is being answered waits for that answer.
    """
    with _locks[url]:
        known = _fresh(_answers.get(url)) or _fresh(_read(work_dir).get(url))
        if known is None:
            known = (_ask(url), time.time())
            _remember(url, known, work_dir)
            logger.info("%s can%s be reached", url, "" if known[0] else "not")
        _answers[url] = known
        return known[0]


def fetch(url: str, target: Path, is_whole: Callable[[Path], bool], work_dir: Path) -> None:
    """Download a published file, whole or not at all: other replicas may fetch it at the same time.

    Args:
        url: of the file.
        target: where it goes.
        is_whole: whether what came has the published digest.
        work_dir: where it is remembered whether the hub can be reached.

    Raises:
        DownloadFailed: the hub cannot be reached, or the download failed.
    """
    if not hub_reachable(urljoin(url, "/"), work_dir):  # the same answer for every file
        raise DownloadFailed("the server that publishes it cannot be reached")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            part = Path(scratch) / target.name
            with urlopen(url, timeout=SILENCE_SECONDS) as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, 1 << 20)
            if not is_whole(part):
                raise DownloadFailed("its download failed (what came does not have the published SHA-256)")
            part.replace(target)
    except (OSError, HTTPException) as error:
        raise DownloadFailed(f"its download failed ({error})") from error


def missing_weights(
    model: str, variant: str, url: str, places: Sequence[Path], reason: DownloadFailed
) -> WeightsMissing:
    """The error for a published file that is in none of these places; it belongs into the first."""
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
    """The digest of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fresh(answer: tuple[bool, float] | None) -> tuple[bool, float] | None:
    return answer if answer and 0 <= time.time() - answer[1] < REMEMBER_SECONDS else None


def _ask(url: str) -> bool:
    """Ask in a thread that is left behind if it takes too long: no time-out bounds name resolution."""
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(_answers_at(url)), daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    return bool(answers and answers[0])


def _answers_at(url: str) -> bool:
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
        logger.warning("the remembered answers in %s cannot be read (%s); asking anew", work_dir, error)
        return {}


def _remember(url: str, answer: tuple[bool, float], work_dir: Path) -> None:
    """Write whole or not at all. Two processes at once may lose one answer, which is then asked again."""
    fresh = {known: found for known, found in _read(work_dir).items() if _fresh(found)}
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work_dir) as scratch:
            part = Path(scratch) / FILE_NAME
            part.write_text(json.dumps(fresh | {url: answer}))
            part.replace(work_dir / FILE_NAME)
    except OSError as error:
        logger.warning("%s is not remembered in %s: %s", url, work_dir, error)
