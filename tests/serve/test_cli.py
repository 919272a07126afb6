"""The command line against the real server, called as from a script."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

from audiograph import Audiograph
from audiograph.schemas import TranscribeRequest
from tests.support.server import ROOT, Server
from tests.support.sounds import chord, speech_like, wav_bytes

pytestmark = pytest.mark.cluster

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(server: Server, tmp_path: Path) -> Run:
    """A function that runs ``audiograph …`` in an empty folder."""

    def run(*arguments: str, url: str = server.url) -> "subprocess.CompletedProcess[str]":
        environment = os.environ | {"PYTHONPATH": str(ROOT / "clients"), "AUDIOGRAPH_URL": url}
        return subprocess.run(
            [sys.executable, "-m", "audiograph", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    return run


def succeed(completed: "subprocess.CompletedProcess[str]") -> str:
    """Return the output of a command, which must have succeeded."""
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


def document(completed: "subprocess.CompletedProcess[str]") -> Any:
    """Return the JSON document that a command printed."""
    return json.loads(completed.stdout)


def test_speech_is_saved_and_transcribed(run: Run, tmp_path: Path) -> None:
    assert succeed(run("speak", "Hello from the command line.", "-o", "hello.flac")) == "hello.flac\n"
    assert soundfile.info(tmp_path / "hello.flac").duration > 0.5

    transcribed = run("transcribe", "hello.flac")
    assert "random weights" in succeed(transcribed)
    assert 'weights: "random"' in transcribed.stderr

    saved = succeed(run("transcribe", "hello.flac", "--output", "out")).split()
    assert {Path(path).suffix for path in saved} == {".txt", ".json", ".srt", ".vtt"}
    assert all((tmp_path / path).stat().st_size for path in saved)
    assert succeed(run("transcribe", "hello.flac", "--format", "vtt")).startswith("WEBVTT")


def test_a_key_is_printed_as_text_and_as_json(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chord.wav").write_bytes(wav_bytes(chord([261.63, 329.63, 392.0], seconds=3.0)))
    assert succeed(run("key", "chord.wav")).startswith("C major  (confidence ")
    job = json.loads(succeed(run("key", "chord.wav", "--json", "--output", "out")))
    assert (job["status"], job["result"]["detected_key"]) == ("succeeded", "C major")
    assert {Path(path).suffix for path in job["saved"]} == {".json", ".png"}


def test_jobs_are_detached_listed_watched_and_shown(run: Run) -> None:
    job_id = succeed(run("speak", "Later.", "--detach")).strip()
    assert job_id in succeed(run("jobs", "watch", job_id))
    assert succeed(run("jobs", "list", "--limit", "5")).splitlines()[1].split()[0] == job_id
    (newest,) = json.loads(succeed(run("--json", "jobs", "list", "--limit", "1")))
    assert (newest["id"], newest["status"]) == (job_id, "succeeded")
    events = json.loads(succeed(run("jobs", "events", job_id, "--json")))
    assert (events[0]["type"], events[-1]["type"]) == ("started", "succeeded")


def test_models_are_listed_loaded_and_unloaded(run: Run) -> None:
    table = succeed(run("models", "list"))
    names = [line.split()[0] for line in table.splitlines()[1:]]
    assert set(names) > {"espeak", "pitch_analysis", "whisper"}
    assert [model["id"] for model in json.loads(succeed(run("models", "list", "--json")))] == names
    assert "took" in succeed(run("models", "load", "espeak"))
    assert "freed" in succeed(run("models", "unload", "espeak"))
    assert "en-us" in succeed(run("voices", "list"))


def test_a_script_can_tell_failures_apart(run: Run, tmp_path: Path, client: Audiograph) -> None:
    missing = run("key", "nowhere.wav")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "nowhere.wav" in missing.stderr

    (tmp_path / "words.wav").write_text("not audio at all")
    refused = run("key", "words.wav", "--json")
    assert refused.returncode == 2
    assert document(refused)["error"]["code"] == "invalid_audio"

    (tmp_path / "silence.wav").write_bytes(wav_bytes(speech_like() * 0))
    failed = run("key", "silence.wav", "--json")
    assert failed.returncode == 1
    assert document(failed)["error"]["message"] == "no pitched sound: the file is silent"

    assert run("speak", "Hello", url="http://127.0.0.1:1").returncode == 3


def test_timeouts_and_cancellation_have_exit_statuses_too(run: Run, client: Audiograph) -> None:
    lecture = client.files.upload(wav_bytes(speech_like(seconds=600.0), 16_000))
    *before, job = [client.jobs.submit(TranscribeRequest(file=lecture.id)) for _ in range(5)]
    assert run("jobs", "watch", job.id, "--timeout", "0.5").returncode == 5
    assert succeed(run("jobs", "cancel", job.id)) == f"{job.id} canceled\n"
    watched = run("jobs", "watch", job.id, "--json")
    assert (watched.returncode, document(watched)["status"]) == (4, "canceled")
    for other in before:
        client.jobs.cancel(other)
