"""Published Demucs checkpoints: taken from the cache of demucs or downloaded, and always verified."""

import os
import shutil
import tempfile
from pathlib import Path

from deployments.models.kit.weights import DownloadFailed, fetch, missing_weights, sha256


def pretrained_repository(variant: str, work_dir: Path) -> Path:
    """Return a folder with a variant's published checkpoints, for ``demucs.pretrained.get_model``.

    The folder is ``work_dir/demucs``. Missing checkpoints are copied from the cache of `torch.hub`, where
    demucs itself keeps its downloads, or are downloaded. Checkpoints are pickles and can run any code when
    they are loaded: only files with the published digest get into the folder, to which no one else may write.

    Raises:
        WeightsMissing: a checkpoint is not on this machine and cannot be downloaded.
    """
    from demucs.pretrained import REMOTE_ROOT

    folder = work_dir / "demucs"
    folder.mkdir(parents=True, exist_ok=True)
    for url in _checkpoint_urls(variant):
        _ensure_checkpoint(variant, url, folder, work_dir)
    _copy_whole(REMOTE_ROOT / f"{variant}.yaml", folder / f"{variant}.yaml")
    return folder


def signatures(variant: str) -> list[str]:
    """List the models of a variant's bag by the signatures that `demucs.repo` names their files with."""
    import yaml

    from demucs.pretrained import REMOTE_ROOT

    bag = yaml.safe_load((REMOTE_ROOT / f"{variant}.yaml").read_text())
    return [str(signature) for signature in bag["models"]]


def _checkpoint_urls(variant: str) -> list[str]:
    from demucs.pretrained import REMOTE_ROOT, _parse_remote_files

    published = _parse_remote_files(REMOTE_ROOT / "files.txt")
    return [published[signature] for signature in signatures(variant)]


def _ensure_checkpoint(variant: str, url: str, folder: Path, work_dir: Path) -> None:
    name = url.rpartition("/")[2]
    target, cached = folder / name, _torch_hub_cache() / name
    if _is_intact(target):
        return
    if _is_intact(cached):
        _copy_whole(cached, target)
        return
    try:
        fetch(url, target, _is_intact, work_dir)
    except DownloadFailed as reason:
        raise missing_weights("demucs", variant, url, [target, cached], reason) from reason


def _torch_hub_cache() -> Path:
    """Return the folder where `torch.hub` keeps downloads."""
    cache = os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.getenv("TORCH_HOME") or Path(cache) / "torch") / "hub" / "checkpoints"


def _is_intact(path: Path) -> bool:
    """Report whether a file exists with the digest that its name ends with: ``SIGNATURE-SHA256[:8].th``."""
    return path.is_file() and sha256(path).startswith(path.stem.rpartition("-")[2])


def _copy_whole(source: Path, target: Path) -> None:
    """Copy a file, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        part = Path(scratch) / target.name
        shutil.copyfile(source, part)
        part.replace(target)
