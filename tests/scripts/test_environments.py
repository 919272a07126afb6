"""Environments of a package made here, by the pip that is here, without any index."""

import subprocess
import zipfile
from pathlib import Path

import pytest
import tqdm

from deployments.environments import missing, python_of
from scripts import environments as script
from tests.support.environments import Environments


@pytest.fixture
def root(environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(script, "FOLDER", environments.folder)
    monkeypatch.setattr(script, "LOCKS", environments.locks)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    lock(environments, tmp_path, "0.1")
    return tmp_path


def lock(environments: Environments, root: Path, version: str) -> None:
    """A lock of two packages that the environment below has as well, and of what does not load there."""
    wheels = [
        wheel(root, "tqdm", version, "tqdm.py"),
        wheel(root, "torchaudio", version, "torchaudio/lib/x.so"),
    ]
    environments.lock("toys", "# Of two.\n" + "".join(f"{path}\n" for path in wheels))


def wheel(root: Path, name: str, version: str, file: str) -> Path:
    path, info = root / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(file, f"__version__ = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def told(program: str) -> str:
    done = subprocess.run([python_of("toys"), "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_the_lock_pins_comes_first_and_all_else_from_below(root: Path) -> None:
    script.main()
    assert missing("toys") is None
    assert told("import tqdm; print(tqdm.__version__)") == "0.1" != tqdm.__version__
    assert told("import ray; print(ray.__file__)").startswith(script._layered().strip())
    assert told("from importlib import metadata; print(metadata.version('torchaudio'))") == "0.1"
    assert not list((root / ".environments").rglob("*.so"))


def test_it_is_made_again_only_when_its_lock_changes(root: Path, environments: Environments) -> None:
    script.main()
    mark = environments.folder / "toys" / "mark"
    mark.touch()
    script.main()
    assert mark.exists()
    lock(environments, root, "0.2")
    script.main()
    assert not mark.exists()
    assert told("import tqdm; print(tqdm.__version__)") == "0.2"


def test_it_is_whole_or_not_there(root: Path, environments: Environments) -> None:
    script.main()
    environments.lock("toys", "no-such-package==1\n")
    with pytest.raises(SystemExit, match="environment 'toys' could not be made: pip cannot install"):
        script.main()
    assert missing("toys") == "its environment 'toys' does not exist; run `make envs`"
    lock(environments, root, "0.3")
    script.main()
    assert missing("toys") is None
