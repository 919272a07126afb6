"""The results of a run, in one JSON file that is complete after every step: a cut run keeps what it has."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from benchmarks.gpu.plan import Measurement

State = Literal["waiting", "running", "measured", "failed", "skipped"]
FILE = "results.json"


class Journal:
    """The file ``results.json`` of a folder.

    One process writes it at a time: the worker while it lives, and else the supervisor.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / FILE
        self.content: dict[str, Any] = {}

    @classmethod
    def create(cls, folder: Path, plan: Sequence[Measurement], *, tiny: bool, seconds: float) -> "Journal":
        """Begin the results of a run that may last a number of seconds from now."""
        folder.mkdir(parents=True, exist_ok=True)
        journal = cls(folder)
        waiting = [asdict(measurement) | {"state": "waiting", "results": []} for measurement in plan]
        journal.content = {
            "tiny": tiny,
            "budget_seconds": seconds,
            "deadline": time.time() + seconds,
            "machine": None,
            "measurements": waiting,
        }
        journal.write()
        return journal

    @classmethod
    def open(cls, folder: Path) -> "Journal":
        """Read the results of a run that has begun."""
        journal = cls(folder)
        journal.read()
        return journal

    def read(self) -> None:
        """Read the file again, after another process has written it."""
        self.content = json.loads(self._path.read_text())

    def write(self) -> None:
        """Replace the file; readers see the old one or the new one."""
        part = self._path.with_suffix(".part")
        part.write_text(json.dumps(self.content, indent=1) + "\n")
        part.replace(self._path)

    @property
    def seconds_left(self) -> float:
        """The rest of the budget; negative once it is spent."""
        return float(self.content["deadline"]) - time.time()

    def entries(self, *states: State) -> list[dict[str, Any]]:
        """Return the measurements in these states, in order; all of them if none is given."""
        entries: list[dict[str, Any]] = self.content["measurements"]
        return [entry for entry in entries if not states or entry["state"] in states]

    def begin(self, entry: dict[str, Any]) -> None:
        """Mark the start of a measurement."""
        entry |= {"state": "running", "started": time.time()}
        self.write()

    def add(self, entry: dict[str, Any], result: dict[str, Any]) -> None:
        """Keep one result of the running measurement."""
        entry["results"].append(result)
        self.write()

    def end(self, entry: dict[str, Any], state: State, reason: str | None = None) -> None:
        """End a measurement, with the reason if it was not measured."""
        if "started" in entry:
            entry["seconds"] = round(time.time() - entry["started"], 3)
        entry["state"] = state
        if reason is not None:
            entry["reason"] = reason
        self.write()
