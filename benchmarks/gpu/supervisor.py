"""Keeps a worker running until nothing is waiting: it outlives crashes, hangs and a device that breaks."""

import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu.journal import Journal
from benchmarks.gpu.plan import LIMIT

WORKER = (sys.executable, "-m", "benchmarks.gpu.worker")
POLL_SECONDS = 0.2


def supervise(journal: Journal, worker: Sequence[str] = WORKER) -> None:
    """Run workers until no measurement is waiting.

    Each worker ends at least one: that which was running when it died, or else the first that was waiting.
    """
    while journal.entries("waiting"):
        waiting = len(journal.entries("waiting"))
        process = subprocess.Popen([*worker, str(journal.folder)])
        try:
            fault = _watch(process, journal)
        finally:
            process.kill()
            process.wait()
        journal.read()
        for entry in journal.entries("running"):
            journal.end(entry, "failed", fault)
        if len(journal.entries("waiting")) == waiting:
            journal.end(journal.entries("waiting")[0], "failed", fault)


def _watch(process: "subprocess.Popen[bytes]", journal: Journal) -> str:
    """Wait until a worker ends or must be ended; return the fault of what it leaves running."""
    while True:
        try:
            status = process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            journal.read()
        else:
            return f"the worker ended with status {status}"
        for entry in journal.entries("running"):
            if fault := _overdue(entry, journal):
                return fault


def _overdue(entry: dict[str, Any], journal: Journal) -> str | None:
    """Return why a running measurement must end now; None if it may go on."""
    if journal.seconds_left < 0:
        return f"the {journal.content['budget_seconds']:g} s of the run were over"
    if time.time() - entry["started"] > LIMIT * entry["expected_seconds"]:
        return f"it took more than {LIMIT} times the {entry['expected_seconds']:g} s that were expected"
    return None
