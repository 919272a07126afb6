"""The commands ``audiograph models list``, ``load`` and ``unload``."""

from __future__ import annotations

from typing import Annotated

import typer

from audiograph.cli._session import Session, session_of
from audiograph.cli._terminal import print_line, print_table
from audiograph.schemas import LoadReport, ModelInfo

app = typer.Typer(help="List, load and unload models.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(metavar="MODEL", help="Name of a model, as in `audiograph models list`.")
]


@app.command("list")
def list_models(context: typer.Context) -> None:
    """List the configured models and their loaded variants."""
    session = session_of(context)
    with session.client() as client:
        models = client.models.list()
    columns = ("model", "tasks", "variants", "weights", "loaded", "")
    session.show(models, lambda: print_table(columns, [_row(model) for model in models]))
    for model in models:
        session.warn_if_random(model.weights, model.id)


@app.command()
def load(
    context: typer.Context,
    model: Name,
    variant: Annotated[
        str | None, typer.Option(help="Variant to load; the model's default if absent.")
    ] = None,
) -> None:
    """Load a variant on all present and future replicas."""
    session = session_of(context)
    with session.client() as client:
        _show(session, client.models.load(model, variant), "took")


@app.command()
def unload(
    context: typer.Context,
    model: Name,
    variant: Annotated[str | None, typer.Option(help="Variant to unload; all if absent.")] = None,
) -> None:
    """Unload variants after their running requests, and print the freed memory."""
    session = session_of(context)
    with session.client() as client:
        _show(session, client.models.unload(model, variant), "freed")


def _show(session: Session, report: LoadReport, verb: str) -> None:
    def show() -> None:
        print_line(f"{report.model} {verb} {report.bytes} bytes on {len(report.replicas)} replicas")
        for change in report.replicas:
            variants = ", ".join(change.variants) if change.changed else "unchanged"
            print_line(
                f"  {change.replica}: {variants}, {change.bytes} bytes {change.message or ''}".rstrip()
            )

    session.show(report, show)


def _row(model: ModelInfo) -> tuple[str, ...]:
    variants = ", ".join(f"{name}*" if name == model.default_variant else name for name in model.variants)
    loaded = {loaded.variant for replica in model.replicas for loaded in replica.loaded}
    state = "" if model.available else model.message or "not available"
    return model.id, ", ".join(model.tasks), variants, model.weights, ", ".join(sorted(loaded)), state
