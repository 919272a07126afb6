"""Published Demucs checkpoints: found where demucs itself keeps them, or fetched, and always verified."""

import os
import shutil
import tempfile
from pathlib import Path

from deployments.models.kit.weights import Unfetched, fetch, missing_weights, sha256


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
    try:
        fetch(url, target, _is_whole, work_dir)
    except Unfetched as reason:
        raise missing_weights("demucs", variant, url, [target, cached], reason) from reason


def _demucs_cache() -> Path:
    """Where torch.hub keeps downloads."""
    cache = os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.getenv("TORCH_HOME") or Path(cache) / "torch") / "hub" / "checkpoints"


def _is_whole(path: Path) -> bool:
    """Whether a file is there and has the digest that its name ends with: ``SIGNATURE-SHA256[:8].th``."""
    return path.is_file() and sha256(path).startswith(path.stem.rpartition("-")[2])


def _install(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch) / target.name
        shutil.copyfile(source, part)
        part.replace(target)
