"""Published Whisper checkpoints: found where whisper itself keeps them, or fetched, and always verified."""

import os
from pathlib import Path

from deployments.models.kit.weights import DownloadFailed, fetch, missing_weights, sha256


def pretrained_checkpoint(variant: str, work_dir: Path) -> Path:
    """Path of a variant's published checkpoint.

    Looked for in ``work_dir/whisper`` and in whisper's own cache, then downloaded into the former.

    Raises:
        WeightsMissing: it is in neither, and cannot be fetched.
    """
    import whisper

    url: str = whisper._MODELS[variant]  # the only place where the package tells names and digests
    digest, name = url.split("/")[-2:]
    places = [work_dir / "whisper" / name, _whisper_cache() / name]
    for path in places:
        if path.is_file() and sha256(path) == digest:
            return path
    try:
        fetch(url, places[0], lambda path: sha256(path) == digest, work_dir)
    except DownloadFailed as reason:
        raise missing_weights("whisper", variant, url, places, reason) from reason
    return places[0]


def _whisper_cache() -> Path:
    return Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
