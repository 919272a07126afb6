"""The folder for a GPU machine: pinned, small packages that unpacking installs, and complete code."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts import gpu_bundle


def wheel(folder: Path, name: str, *files: str) -> None:
    with zipfile.ZipFile(folder / f"{name}-1-py3-none-any.whl", "w") as archive:
        for file in files:
            archive.writestr(file, "x" * 1000)


def test_every_package_is_pinned_by_the_servers_lock() -> None:
    pins = gpu_bundle.pins(gpu_bundle.LOCK.read_text())
    assert len(pins) == len(gpu_bundle.PACKAGES)
    assert all("==" in pin for pin in pins)


def test_a_package_that_the_lock_lacks_is_named() -> None:
    with pytest.raises(SystemExit, match="pydantic-core"):
        gpu_bundle.pins("pydantic==2.0\n")


def test_wheels_that_are_too_large_together_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_bundle, "MAX_WHEEL_BYTES", 500)
    wheel(tmp_path, "a", "a.py")
    wheel(tmp_path, "b", "b.py")
    with pytest.raises(SystemExit, match="MB, more than"):
        gpu_bundle.check(tmp_path)


def test_a_wheel_that_unpacking_does_not_install_is_refused(tmp_path: Path) -> None:
    wheel(tmp_path, "a", "a-1.data/purelib/a.py")
    with pytest.raises(SystemExit, match=r"a-1-py3-none-any\.whl"):
        gpu_bundle.check(tmp_path)


def test_the_code_in_the_folder_runs_without_the_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_bundle, "_fetch", lambda pins, wheels: wheels.mkdir())
    bundle = tmp_path / "bundle"
    gpu_bundle.collect(bundle)
    environment = {"PYTHON": sys.executable, "PATH": "/usr/bin:/bin"}
    help_text = subprocess.run(
        ["bash", bundle / "run.sh", "--help"], capture_output=True, text=True, check=True, env=environment
    )
    assert "--tiny" in help_text.stdout
    assert not list(bundle.rglob("__pycache__"))
