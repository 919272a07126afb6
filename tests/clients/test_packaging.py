"""The wheel in an empty environment: the client and the command line, without the server."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROBE = """
import importlib.util, audiograph
from audiograph import Audiograph, AsyncAudiograph
assert audiograph.__version__ == {version!r}, audiograph.__version__
assert Audiograph().base_url == "http://127.0.0.1:8000"
heavy = [name for name in ("ray", "torch", "fastapi", "numpy", "dbos") if importlib.util.find_spec(name)]
assert not heavy, heavy
"""


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd="/", env={})


@pytest.fixture(scope="module")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("venv")
    venv.create(folder)
    pip = (sys.executable, "-m", "pip", "--python", folder, "install", "--quiet", "--no-compile")
    subprocess.run([*map(str, pip), str(ROOT)], check=True)
    return folder / "bin"


@pytest.mark.packaging
def test_the_wheel_has_the_client(bin_folder: Path) -> None:
    from audiograph import __version__

    probe = _run(bin_folder / "python", "-c", PROBE.format(version=__version__))
    assert probe.returncode == 0, probe.stderr


@pytest.mark.packaging
def test_the_wheel_has_the_command_line(bin_folder: Path) -> None:
    helped = _run(bin_folder / "audiograph", "--help")
    assert helped.returncode == 0, helped.stderr
    assert "transcribe" in helped.stdout
    lost = _run(bin_folder / "audiograph", "health", "--url", "http://127.0.0.1:1")
    assert lost.returncode == 3, lost.stderr
    keys = _run(bin_folder / "audiograph", "keys", "list")
    assert keys.returncode == 2, keys.stderr
    assert "checkout" in keys.stderr


@pytest.mark.packaging
def test_the_wheel_is_typed(bin_folder: Path) -> None:
    packages = (
        bin_folder.parent
        / "lib"
        / f"python{sys.version_info.major}.{sys.version_info.minor}"
        / "site-packages"
    )
    assert (packages / "audiograph" / "py.typed").is_file()
