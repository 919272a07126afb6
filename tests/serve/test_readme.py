"""The README's commands and programs, run as they stand there, against a server on another port."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serve.conftest import ROOT, Server

pytestmark = pytest.mark.cluster

README = (ROOT / "README.md").read_text()
USUAL_URL = "http://127.0.0.1:8000"


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands() -> list[str]:
    """The console lines that talk to a running server, each with its continuation lines."""
    text = "\n".join(blocks("console"))
    found = re.findall(r"^\$ ((?:.*\\\n)*.*)$", text, flags=re.MULTILINE)
    return [command for command in found if re.match(r"(audiograph (?!keys)|job=|FILE=|curl)", command)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all of them: the README's commands use what earlier ones wrote."""
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
    printed = run(["bash", "-euo", "pipefail", "-c", script], server, folder)
    assert '"detected_key"' in printed
    assert (folder / "hello.wav").stat().st_size > 10_000
    assert (folder / "morning.mp3").stat().st_size > 1_000


def test_the_programs(server: Server, folder: Path) -> None:
    programs = [block for block in blocks("python") if "Audiograph(" in block or "OpenAI(" in block]
    assert len(programs) == 3
    for program in programs:
        run([sys.executable, "-c", program.replace(USUAL_URL, server.url)], server, folder)
    assert (folder / "spoken.wav").exists()
    assert (folder / "streamed.mp3").stat().st_size > 1_000
    assert {path.suffix for path in (folder / "out").iterdir()} >= {".json", ".txt", ".srt", ".vtt"}
