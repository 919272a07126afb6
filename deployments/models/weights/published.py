"""Published weights: the files and repositories that a variant consists of."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

CHECKPOINT_FILES = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja")
"""Patterns of a checkpoint's files. They exclude the same weights in other formats, and pickles."""

Report = Callable[[int, int | None], None]
"""Takes the bytes that were fetched, and all of them; None while their number is not known."""


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """One file of weights, as its publisher released it."""

    path: str
    """Its place in the folder of weights, such as ``whisper/base.pt``."""
    url: str
    sha256: str
    """The publisher's digest, in hexadecimal; some publish only its first digits."""
    licence: str
    """The SPDX name of the licence, if it has one."""
    caches: tuple[Path, ...] = ()
    """Folders in which other programs keep the same file."""

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.path.rpartition("/")[2]

    @property
    def hub(self) -> str:
        """The address of the server that publishes the file."""
        return urljoin(self.url, "/")

    def places(self, work_dir: Path) -> list[Path]:
        """List the paths where the file may lie on this machine; fetched files are written to the first."""
        return [weights_folder(work_dir) / self.path, *(folder / self.name for folder in self.caches)]


@dataclass(frozen=True, slots=True)
class PublishedRepository:
    """A repository of the Hugging Face hub with one checkpoint."""

    name: str
    """Such as ``facebook/musicgen-small``."""
    licence: str
    """The SPDX name of the licence, if it has one."""
    files: tuple[str, ...] = CHECKPOINT_FILES
    """The needed files, by name or pattern."""


Published = PublishedFile | PublishedRepository


class FetchFailed(Exception):
    """Weights could not be had from one place; the message is a clause with the reason."""


def weights_folder(work_dir: Path) -> Path:
    """Return the folder of published weights. It can be filled on one machine and copied to another."""
    return work_dir / "weights"
