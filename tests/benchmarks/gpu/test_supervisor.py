"""The supervisor goes on after workers that crash, hang or do not even start."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import supervisor
from benchmarks.gpu.journal import Journal, State
from benchmarks.gpu.plan import Measurement
from benchmarks.gpu.supervisor import supervise

WORKER = """
import os, sys, time
from pathlib import Path
from benchmarks.gpu.journal import Journal

journal = Journal.open(Path(sys.argv[1]))
for entry in journal.entries("waiting"):
    journal.begin(entry)
    journal.add(entry, {"title": "begun"})
    if entry["name"] == "crash":
        os.abort()
    if entry["name"] == "hang":
        time.sleep(600)
    journal.end(entry, "measured")
"""


def supervised(
    folder: Path, *names: str, program: str = WORKER, seconds: float = 900, expected: float = 60
) -> dict[str, tuple[State, str | None]]:
    """Return the state and reason of every measurement, once the supervisor has ended."""
    measurements = [Measurement(name, "fake:fake", expected) for name in names]
    journal = Journal.create(folder, measurements, tiny=True, seconds=seconds)
    supervise(journal, [sys.executable, "-c", program])
    return {entry["name"]: (entry["state"], entry.get("reason")) for entry in Journal.open(folder).entries()}


def test_a_crash_costs_one_measurement(tmp_path: Path) -> None:
    assert supervised(tmp_path, "one", "crash", "two") == {
        "one": ("measured", None),
        "crash": ("failed", "the worker ended with status -6"),
        "two": ("measured", None),
    }
    assert Journal.open(tmp_path).entries("failed")[0]["results"] == [{"title": "begun"}]


def test_a_measurement_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LIMIT", 0.01)
    state, reason = supervised(tmp_path, "hang")["hang"]
    assert (state, reason) == ("failed", "it took more than 0.01 times the 60 s that were expected")


def test_nothing_runs_beyond_the_time_of_the_run(tmp_path: Path) -> None:
    assert supervised(tmp_path, "hang", seconds=3) == {"hang": ("failed", "the 3 s of the run were over")}


def test_a_worker_that_never_starts_does_not_keep_the_supervisor(tmp_path: Path) -> None:
    states = supervised(tmp_path, "one", "two", program="import sys; sys.exit(9)")
    assert states == dict.fromkeys(("one", "two"), ("failed", "the worker ended with status 9"))


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (("measured", "measured"), 0),
        (("measured", "failed"), 1),
        (("skipped", "failed"), 1),
        (("measured", "skipped"), 3),
    ],
)
def test_the_exit_code_tells_failed_from_skipped(
    states: tuple[State, State], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(journal: Journal) -> None:
        for entry, state in zip(journal.entries(), states, strict=True):
            journal.end(entry, state, "a reason")

    monkeypatch.setattr(command, "supervise", ended)
    arguments = ["--only", "whisper", "--only", "demucs", "--output", str(tmp_path)]
    result = CliRunner().invoke(command.application, arguments)
    assert result.exit_code == code
    assert f"{states.count('measured')} of 2 measured" in result.output


def test_an_unknown_measurement_is_named_with_those_there_are(tmp_path: Path) -> None:
    result = CliRunner().invoke(command.application, ["--only", "whispre", "--output", str(tmp_path)])
    assert result.exit_code == 2
    assert "whispre" in result.output
    assert not (tmp_path / "results.json").exists()
