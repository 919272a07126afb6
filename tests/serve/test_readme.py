"""The documents' commands and programs, run as they stand there, against a server on another port."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.readme import commands, programs
from tests.support.server import Server

pytestmark = pytest.mark.cluster

USUAL_URL = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all of them: commands use files that earlier ones wrote."""
    return tmp_path_factory.mktemp("readme")


def run(command: list[str], server: Server, folder: Path) -> str:
    tools = Path(sys.executable).parent
    environment = {**os.environ, "AUDIOGRAPH_URL": server.url, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_commands(server: Server, folder: Path) -> None:
    script = "\n".join(commands()).replace(USUAL_URL, server.url)
    assert script.count("audiograph ") >= 10
    assert script.count("curl ") >= 10
    printed = run(["bash", "-euo", "pipefail", "-c", script], server, folder)
    assert '"detected_key"' in printed
    assert "audiograph_oldest_queued_seconds" in printed
    assert (folder / "hello.wav").stat().st_size > 10_000
    assert (folder / "morning.mp3").stat().st_size > 1_000
    assert (folder / "talk.mp3").stat().st_size > 1_000


def test_the_programs(server: Server, folder: Path) -> None:
    found = programs()
    assert len(found) == 3
    for program in found:
        run([sys.executable, "-c", program.replace(USUAL_URL, server.url)], server, folder)
    assert (folder / "spoken.wav").exists()
    assert (folder / "streamed.mp3").stat().st_size > 1_000
    assert {path.suffix for path in (folder / "out").iterdir()} >= {".json", ".txt", ".srt", ".vtt"}
