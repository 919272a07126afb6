"""The public names of the package, and the equality of both clients."""

import inspect
import pkgutil
import sys
from pathlib import Path
from typing import Any

import pytest

import audiograph
from audiograph import AsyncAudiograph, Audiograph
from scripts import unasync

SURFACE = {
    "Artifact",
    "AsyncAudiograph",
    "Audiograph",
    "AudiographError",
    "File",
    "Job",
    "JobCanceled",
    "JobEvent",
    "JobFailed",
    "WaitTimeout",
    "__version__",
    "errors",
    "schemas",
}


def test_the_public_surface() -> None:
    assert set(audiograph.__all__) == SURFACE
    modules = {module.name for module in pkgutil.iter_modules(audiograph.__path__)}
    assert {name for name in modules if not name.startswith("_")} == {"cli", "errors", "schemas"}
    assert (Path(audiograph.__path__[0]) / "py.typed").is_file()


def test_the_blocking_client_is_up_to_date() -> None:
    assert unasync.stale() == []


def test_the_check_notices_a_change(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(unasync, "TARGET", tmp_path)
    monkeypatch.setattr(sys, "argv", ["unasync.py", "--check"])
    with pytest.raises(SystemExit, match="out of date"):
        unasync.main()
    (tmp_path / "left_over.py").write_text("")
    monkeypatch.setattr(sys, "argv", ["unasync.py"])
    unasync.main()
    assert unasync.stale() == []
    assert not (tmp_path / "left_over.py").exists()


@pytest.mark.parametrize("part", [None, "files", "jobs", "artifacts", "models", "voices"])
def test_both_clients_have_the_same_methods_and_parameters(part: str | None) -> None:
    blocking: Any = Audiograph()
    waiting: Any = AsyncAudiograph()
    if part is not None:
        blocking, waiting = getattr(blocking, part), getattr(waiting, part)
    ours, theirs = _methods(blocking), _methods(waiting)
    assert ours == {name.replace("aclose", "close"): parameters for name, parameters in theirs.items()}


def _methods(thing: object) -> dict[str, list[str]]:
    found = inspect.getmembers(thing, inspect.ismethod)
    return {name: list(inspect.signature(method).parameters) for name, method in found if name[0] != "_"}


def test_nothing_of_the_blocking_client_is_async() -> None:
    for module in sorted((Path(audiograph.__path__[0]) / "_sync").glob("*.py")):
        text = module.read_text("utf-8").split("\n", 1)[1]
        assert "async" not in text.lower(), module
        assert "await" not in text, module
