"""Published Whisper checkpoints: found where whisper itself keeps them, or fetched, and always verified."""

import hashlib
import os
import shutil
import tempfile
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import urlopen

from audiograph.errors import WeightsMissing
from deployments.models.weights import hub_reachable

SILENCE_SECONDS = 30
"""A download that says nothing for so long is given up."""


def pretrained_checkpoint(variant: str, work_dir: Path) -> Path:
    """Path of a variant's published checkpoint.

    Looked for in ``work_dir/whisper`` and in whisper's own cache, then downloaded into the former.

    Raises:
        WeightsMissing: it is in neither, and cannot be fetched.
    """
    import whisper

    url: str = whisper._MODELS[variant]  # the only place where the package tells names and digests
    sha256, name = url.split("/")[-2:]
    places = [work_dir / "whisper" / name, _whisper_cache() / name]
    for path in places:
        if path.is_file() and _sha256(path) == sha256:
            return path
    if not hub_reachable(urljoin(url, "/"), work_dir):  # the same answer for every variant
        raise _missing(variant, url, places, "the server that publishes it cannot be reached")
    try:
        _download(url, sha256, places[0])
    except (OSError, HTTPException) as error:
        raise _missing(variant, url, places, f"its download failed ({error})") from error
    return places[0]


def _whisper_cache() -> Path:
    return Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, sha256: str, target: Path) -> None:
    """Whole or not at all: other replicas may look for it, or fetch it, at the same time."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch) / target.name
        with urlopen(url, timeout=SILENCE_SECONDS) as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        if _sha256(part) != sha256:
            raise OSError("what came does not have the published SHA-256")
        part.replace(target)


def _missing(variant: str, url: str, places: list[Path], reason: str) -> WeightsMissing:
    looked = " and ".join(f"{path} ({'damaged' if path.exists() else 'not there'})" for path in places)
    return WeightsMissing(
        f"whisper {variant}: no pretrained weights. Looked for {looked}; {reason}. "
        f"Put the file from {url} at {places[0]}, or set weights to auto or tiny for random ones.",
        details={"variant": variant, "url": url, "looked_in": [str(path) for path in places]},
    )
