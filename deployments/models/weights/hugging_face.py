"""Checkpoints of the Hugging Face hub: from its cache (``HF_HOME``), or downloaded into it."""

import hashlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from audiograph.errors import WeightsMissing
from audiograph.schemas import WeightsOrigin
from deployments.models.weights.obtain import Obtained
from deployments.models.weights.published import FetchFailed, PublishedRepository, Report, weights_folder
from deployments.models.weights.reachability import hub_reachable
from deployments.models.weights.scratch import reporting, sha256

logger = logging.getLogger("audiograph.models")

SHA256_DIGITS = 64
SHA1_DIGITS = 40


def obtain_repository(repository: PublishedRepository, work_dir: Path, report: Report) -> Obtained:
    """Return the folder of a checkpoint in the hub's cache; download it if needed.

    Every file has the hub's digest. Large files are read for that once, and again after a change.

    Raises:
        WeightsMissing: the checkpoint can neither be found nor downloaded.
    """
    folder = found_repository(repository)
    if folder is None or _damaged_file(repository, folder, work_dir):
        try:
            folder = _download(repository, work_dir, report, again=folder is not None)
        except FetchFailed as reason:
            raise _missing(repository, reason) from reason
    return Obtained(folder, origin_of(repository, folder))


def found_repository(repository: PublishedRepository) -> Path | None:
    """Return the folder of a checkpoint in the hub's cache, unless needed files are missing; else None."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    patterns = list(repository.files)
    try:
        folder = Path(snapshot_download(repository.name, local_files_only=True, allow_patterns=patterns))
    except LocalEntryNotFoundError:
        return None
    complete = all("*" in name or (folder / name).is_file() for name in repository.files)
    return folder if complete else None  # other files of the repository were downloaded


def origin_of(repository: PublishedRepository, folder: Path | None) -> WeightsOrigin:
    """Describe a checkpoint; its digest is the revision, which names all of its files."""
    origin = WeightsOrigin(name=repository.name, licence=repository.licence)
    if folder is None:
        return origin
    return origin.model_copy(
        update={"source": "hub", "detail": str(folder), "digest": f"revision:{folder.name}"}
    )


def _download(repository: PublishedRepository, work_dir: Path, report: Report, *, again: bool) -> Path:
    from huggingface_hub import constants, snapshot_download

    if not hub_reachable(constants.ENDPOINT, work_dir):
        raise FetchFailed(f"{constants.ENDPOINT} cannot be reached")
    patterns = list(repository.files)
    blobs = Path(constants.HF_HUB_CACHE) / f"models--{repository.name.replace('/', '--')}" / "blobs"
    try:
        with reporting(blobs, None, report):
            folder = Path(snapshot_download(repository.name, allow_patterns=patterns, force_download=again))
    except (OSError, ValueError) as error:  # the hub's own errors are OSErrors
        raise FetchFailed(f"its download failed ({error})") from error
    if damaged := _damaged_file(repository, folder, work_dir):
        raise FetchFailed(f"{damaged} does not have the digest that the hub names")
    return folder


def _damaged_file(repository: PublishedRepository, folder: Path, work_dir: Path) -> Path | None:
    """Return a file that does not have the digest by which the cache names it; None if all are intact."""
    note = weights_folder(work_dir) / f"{repository.name.replace('/', '--')}.verified.json"
    verified = _read(note)
    for path, digest in _named_by_digest(folder):
        status = path.stat()
        state = [digest, status.st_size, status.st_mtime_ns]
        if verified.get(str(path)) == state:
            continue
        if not _has_digest(path, digest):
            return path
        verified[str(path)] = state
    _write(note, verified)
    return None


def _named_by_digest(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of a snapshot with their digests: each is a link to a file that is named by its own."""
    for path in sorted(folder.rglob("*")):
        name = path.resolve().name
        if path.is_symlink() and len(name) in (SHA1_DIGITS, SHA256_DIGITS):
            yield path, name


def _has_digest(path: Path, digest: str) -> bool:
    """Compare a file with its SHA-256, or with git's SHA-1 of small files."""
    if len(digest) == SHA256_DIGITS:
        return sha256(path) == digest
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest() == digest


def _read(note: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(note.read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _write(note: Path, verified: dict[str, Any]) -> None:
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(verified))
    except OSError as error:
        logger.warning("cannot remember in %s which files were verified: %s", note, error)


def _missing(repository: PublishedRepository, reason: FetchFailed) -> WeightsMissing:
    from huggingface_hub import constants

    return WeightsMissing(
        f"{repository.name}: no pretrained weights in {constants.HF_HUB_CACHE}, and {reason}. Fetch them "
        f"with `hf download {repository.name}`, or set weights to auto or tiny for random ones.",
        details={"repository": repository.name, "looked_in": [constants.HF_HUB_CACHE]},
    )
