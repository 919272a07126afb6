"""Environments of wheels built by the tests, installed by the local pip without an index."""

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
    """Write a lock of a package that the layer below has as well, and of one with an incompatible part."""
    wheels = [
        wheel(root, "tqdm", version, "tqdm.py"),
        wheel(root, "torchaudio", version, "torchaudio/lib/x.so"),
    ]
    environments.lock("toys", "# Two packages.\n" + "".join(f"{path}\n" for path in wheels))


def wheel(root: Path, name: str, version: str, file: str) -> Path:
    path, info = root / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(file, f"__version__ = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def output_of(program: str) -> str:
    """Run a program in the environment and return its output."""
    done = subprocess.run([python_of("toys"), "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_pinned_packages_come_first_and_all_others_from_the_layer_below(root: Path) -> None:
    script.main()
    assert missing("toys") is None
    assert output_of("import tqdm; print(tqdm.__version__)") == "0.1" != tqdm.__version__
    assert output_of("import ray; print(ray.__file__)").startswith(script._base_packages().strip())
    assert output_of("from importlib import metadata; print(metadata.version('torchaudio'))") == "0.1"
    assert not list((root / ".environments").rglob("*.so"))


def test_it_is_rebuilt_only_when_its_lock_changes(root: Path, environments: Environments) -> None:
    script.main()
    mark = environments.folder / "toys" / "mark"
    mark.touch()
    script.main()
    assert mark.exists()
    lock(environments, root, "0.2")
    script.main()
    assert not mark.exists()
    assert output_of("import tqdm; print(tqdm.__version__)") == "0.2"


def test_it_is_complete_or_missing(root: Path, environments: Environments) -> None:
    script.main()
    environments.lock("toys", "no-such-package==1\n")
    with pytest.raises(SystemExit, match="environment 'toys' could not be built: pip cannot install"):
        script.main()
    assert missing("toys") == "its environment 'toys' does not exist; run `make envs`"
    lock(environments, root, "0.3")
    script.main()
    assert missing("toys") is None
