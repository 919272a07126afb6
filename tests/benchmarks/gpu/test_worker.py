"""The worker takes measurement after measurement, and writes down what comes of each."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gpu import worker
from benchmarks.gpu.journal import Journal
from benchmarks.gpu.plan import FAMILY, FIXED, ROOT, Measurement, plan
from benchmarks.gpu.worker import work
from tests.benchmarks.gpu.fakes import measurement

FORBIDDEN = ("ray", "sqlalchemy", "dbos", "psycopg", "alembic", "fastapi", "matplotlib", "librosa")
"""Packages of the server or of other benchmarks, which a machine with a GPU need not have."""


def worked(folder: Path, *measurements: Measurement, seconds: float = 900) -> list[dict[str, Any]]:
    """Return the entries of the file once all measurements are taken or not."""
    journal = Journal.create(folder, measurements, tiny=True, seconds=seconds)
    work(journal, "cpu")
    return Journal.open(folder).entries()


def test_everything_runs_with_tiny_models_in_a_process_without_ray_and_database(tmp_path: Path) -> None:
    Journal.create(tmp_path, plan(), tiny=True, seconds=900)
    block = f"import sys; sys.modules.update(dict.fromkeys({FORBIDDEN}))"
    program = f"{block}; from benchmarks.gpu.worker import main; main()"
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, timeout=280)
    journal = Journal.open(tmp_path)
    assert {entry["name"]: entry.get("traceback") for entry in journal.entries("failed", "skipped")} == {}
    assert len(journal.entries("measured")) == len(plan())
    assert all(entry["results"] for entry in journal.entries())
    assert journal.content["machine"]["torch"]


def test_a_failed_measurement_keeps_its_results_and_the_next_is_taken(tmp_path: Path) -> None:
    failed, taken = worked(tmp_path, measurement("breaks"), measurement("works"))
    assert (failed["state"], failed["reason"]) == ("failed", "ZeroDivisionError: a figure was 0")
    assert failed["results"] == [{"title": "before the fault", "value": 1}]
    assert "in breaks" in failed["traceback"]
    assert taken["state"] == "measured"
    assert [result["title"] for result in taken["results"]] == ["first", "second"]


def test_what_no_longer_fits_is_skipped_and_what_fits_is_not(tmp_path: Path) -> None:
    long, short = worked(tmp_path, measurement("works", 100), measurement("works", 1), seconds=50)
    assert long["state"] == "skipped"
    assert long["reason"].endswith("s are left")
    assert short["state"] == "measured"


def test_a_measurement_may_skip_itself(tmp_path: Path) -> None:
    (entry,) = worked(tmp_path, measurement("needs_more"))
    assert (entry["state"], entry["reason"], entry["results"]) == ("skipped", "no package for it", [])


def test_an_argument_is_passed_on(tmp_path: Path) -> None:
    (entry,) = worked(tmp_path, measurement("takes_an_argument", argument="whisper"))
    assert entry["results"] == [{"title": "whisper"}]


def test_measurements_that_were_taken_before_are_left_alone(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, [measurement("breaks"), measurement("works")], tiny=True, seconds=900)
    journal.end(journal.entries()[0], "failed", "the worker ended")
    work(Journal.open(tmp_path), "cpu")
    first, second = Journal.open(tmp_path).entries()
    assert (first["reason"], second["state"]) == ("the worker ended", "measured")


def test_without_a_gpu_full_size_models_are_not_even_tried(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, [measurement("works")], tiny=False, seconds=900)
    work(journal, "cpu")
    (entry,) = journal.entries()
    assert (entry["state"], entry["results"]) == ("failed", [])
    assert "--tiny" in entry["reason"]


def test_a_device_that_broke_ends_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: str) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(worker, "wait_for", broken)
    journal = Journal.create(tmp_path, [measurement("works"), measurement("works")], tiny=True, seconds=900)
    with pytest.raises(SystemExit) as ended:
        work(journal, "cpu")
    assert ended.value.code == worker.BROKEN_DEVICE
    assert [entry["state"] for entry in Journal.open(tmp_path).entries()] == ["measured", "waiting"]


def test_every_configured_family_with_weights_has_a_measurement() -> None:
    names = {each.argument for each in plan() if each.name.startswith(FAMILY)}
    assert names >= {"whisper", "musicgen", "demucs", "dia", "higgs"}
    assert not names & {"espeak", "mock", "hpss", "pitch_analysis", "chatterbox"}


def test_one_measurement_can_be_taken_alone() -> None:
    assert [each.name for each in plan(["whisper"])] == ["whisper"]


def test_the_document_describes_every_measurement() -> None:
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert [each.name for each in FIXED if f"`{each.name}`" not in text] == []


def test_all_measurements_fit_into_the_time_of_a_run() -> None:
    assert sum(each.expected_seconds for each in plan()) < 440  # 480 s, less the imports
