"""Published Demucs checkpoints: found where demucs itself keeps them, or fetched, and always verified."""

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


def pretrained_repository(variant: str, work_dir: Path) -> Path:
    """Folder with a variant's published checkpoints, for ``demucs.pretrained.get_model(variant, folder)``.

    It is ``work_dir/demucs``. What is not there is copied from the cache where demucs itself downloads to,
    or downloaded. Checkpoints are pickles, and can do anything when loaded: only those with the digest of
    the published ones get into that folder, and nobody else may write to it.

    Raises:
        WeightsMissing: one is neither here, nor can it be fetched.
    """
    from demucs.pretrained import REMOTE_ROOT

    folder = work_dir / "demucs"
    folder.mkdir(parents=True, exist_ok=True)
    for url in _urls(variant):
        _provide(variant, url, folder, work_dir)
    _install(REMOTE_ROOT / f"{variant}.yaml", folder / f"{variant}.yaml")
    return folder


def signatures(variant: str) -> list[str]:
    """The models that a variant is made of, in demucs' own naming."""
    import yaml
    from demucs.pretrained import REMOTE_ROOT

    bag = yaml.safe_load((REMOTE_ROOT / f"{variant}.yaml").read_text())
    return [str(signature) for signature in bag["models"]]


def _urls(variant: str) -> list[str]:
    from demucs.pretrained import REMOTE_ROOT, _parse_remote_files

    published = _parse_remote_files(REMOTE_ROOT / "files.txt")
    return [published[signature] for signature in signatures(variant)]


def _provide(variant: str, url: str, folder: Path, work_dir: Path) -> None:
    name = url.rpartition("/")[2]
    target, cached = folder / name, _demucs_cache() / name
    if _is_whole(target):
        return
    if _is_whole(cached):
        _install(cached, target)
        return
    if not hub_reachable(urljoin(url, "/"), work_dir):  # the same answer for every variant
        raise _missing(variant, url, [target, cached], "the server that publishes it cannot be reached")
    try:
        _download(url, target)
    except (OSError, HTTPException) as error:
        raise _missing(variant, url, [target, cached], f"its download failed ({error})") from error


def _demucs_cache() -> Path:
    """Where torch.hub keeps downloads."""
    cache = os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.getenv("TORCH_HOME") or Path(cache) / "torch") / "hub" / "checkpoints"


def _is_whole(path: Path) -> bool:
    """Whether a file is there and has the digest that its name ends with: ``SIGNATURE-SHA256[:8].th``."""
    return path.is_file() and _sha256(path).startswith(path.stem.rpartition("-")[2])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _install(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch) / target.name
        shutil.copyfile(source, part)
        part.replace(target)


def _download(url: str, target: Path) -> None:
    """Whole or not at all: other replicas may look for it, or fetch it, at the same time."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch) / target.name
        with urlopen(url, timeout=SILENCE_SECONDS) as source, part.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        if not _is_whole(part):
            raise OSError("what came does not have the published SHA-256")
        part.replace(target)


def _missing(variant: str, url: str, places: list[Path], reason: str) -> WeightsMissing:
    looked = " and ".join(f"{path} ({'damaged' if path.exists() else 'not there'})" for path in places)
    return WeightsMissing(
        f"demucs {variant}: no pretrained weights. Looked for {looked}; {reason}. "
        f"Put the file from {url} at {places[0]}, or set weights to auto or tiny for random ones.",
        details={"variant": variant, "url": url, "looked_in": [str(path) for path in places]},
    )
