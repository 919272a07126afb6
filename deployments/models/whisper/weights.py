"""Finds or downloads published Whisper checkpoints, and verifies them."""

import os
from pathlib import Path

from deployments.models.kit.weights import DownloadFailed, fetch, missing_weights, sha256


def pretrained_checkpoint(variant: str, work_dir: Path) -> Path:
    """Return the path of a variant's published checkpoint.

    It is looked for in ``work_dir/whisper`` and in openai-whisper's own cache, and otherwise downloaded into
    the former. A file counts only if its SHA-256 is the published one.

    Raises:
        WeightsMissing: it is in neither folder and cannot be downloaded.
    """
    import whisper

    url: str = whisper._MODELS[variant]  # the only place where the package has names and digests
    digest, name = url.split("/")[-2:]
    paths = [work_dir / "whisper" / name, _whisper_cache() / name]
    for path in paths:
        if path.is_file() and sha256(path) == digest:
            return path
    try:
        fetch(url, paths[0], lambda path: sha256(path) == digest, work_dir)
    except DownloadFailed as reason:
        raise missing_weights("whisper", variant, url, paths, reason) from reason
    return paths[0]


def _whisper_cache() -> Path:
    return Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache") / "whisper"
