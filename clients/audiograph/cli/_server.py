"""The command ``audiograph health``."""

from __future__ import annotations

import typer

from audiograph.cli._session import session_of
from audiograph.cli._terminal import print_line
from audiograph.schemas import Dependency


def health(context: typer.Context) -> None:
    """Check whether the server is alive and accepts work (exit status 1 if not)."""
    session = session_of(context)
    with session.client() as client:
        alive, readiness = client.health(), client.ready()

    def show() -> None:
        state = "ready" if readiness.ready else "not ready"
        print_line(f"{client.base_url}: Audiograph {alive.version} is alive and {state}")
        for dependency in readiness.dependencies:
            print_line(f"  {_line(dependency)}")

    session.show({"health": alive, "readiness": readiness}, show)
    if not readiness.ready:
        raise typer.Exit(1)


def _line(dependency: Dependency) -> str:
    state = "ok" if dependency.ok else "missing" if dependency.required else "missing (optional)"
    return f"{dependency.name}: {state}" + (f", {dependency.message}" if dependency.message else "")
