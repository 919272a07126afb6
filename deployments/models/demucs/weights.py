"""The published Demucs checkpoints, by the lists that the package demucs carries.

The lists are read without importing the package, which would load torch.
"""

import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from deployments.models.weights.published import PublishedFile

SERVER = "https://dl.fbaipublicfiles.com/demucs"
"""``demucs.pretrained.ROOT_URL``."""


def checkpoints(variant: str) -> list[PublishedFile]:
    """List the published checkpoints of a variant's bag.

    A name ends with the first digits of the file's digest: ``SIGNATURE-SHA256[:8].th``. Files may lie in the
    cache of `torch.hub`, where demucs itself keeps its downloads.
    """
    files = _published_files()
    return [_checkpoint(files[signature]) for signature in signatures(variant)]


def signatures(variant: str) -> list[str]:
    """List the models of a variant's bag by the signatures that `demucs.repo` names their files with."""
    import yaml

    bag = yaml.safe_load(bag_file(variant).read_text())
    return [str(signature) for signature in bag["models"]]


def bag_file(variant: str) -> Path:
    """Return the file that describes a variant's bag."""
    return _lists() / f"{variant}.yaml"


@contextmanager
def repository(variant: str, paths: Sequence[Path]) -> Iterator[Path]:
    """Gather the checkpoints of a variant in a folder for ``demucs.pretrained.get_model``.

    Checkpoints are pickles and can run any code when they are loaded: only files with the published digest
    get into the folder.
    """
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(bag_file(variant), Path(folder) / f"{variant}.yaml")
        for path in paths:
            (Path(folder) / path.name).symlink_to(path)
        yield Path(folder)


def _checkpoint(path: str) -> PublishedFile:
    name = path.rpartition("/")[2]
    digest = Path(name).stem.rpartition("-")[2]
    return PublishedFile(f"demucs/{name}", f"{SERVER}/{path}", digest, "MIT", caches=(_torch_hub_cache(),))


@cache
def _published_files() -> dict[str, str]:
    """Return the path of each published file on the server, by its signature."""
    paths: dict[str, str] = {}
    root = ""
    for line in (_lists() / "files.txt").read_text().splitlines():
        if line.startswith("root:"):
            root = line.removeprefix("root:").strip()
        elif line.endswith(".th"):
            paths[line.partition("-")[0]] = root + line
    return paths


def _lists() -> Path:
    """Return the folder ``demucs.pretrained.REMOTE_ROOT``."""
    package = importlib.util.find_spec("demucs")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "remote"


def _torch_hub_cache() -> Path:
    """Return the folder where `torch.hub` keeps downloads."""
    folder = os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.getenv("TORCH_HOME") or Path(folder) / "torch") / "hub" / "checkpoints"
