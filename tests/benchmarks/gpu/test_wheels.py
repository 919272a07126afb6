"""A machine's own packages are kept, and only missing ones are unpacked."""

import zipfile
from pathlib import Path

from benchmarks.gpu.wheels import unpack_missing


def wheel(folder: Path, name: str, module: str) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}.py", "")
    return path


def test_installed_packages_are_not_unpacked_however_they_are_spelled(tmp_path: Path) -> None:
    for name, module in (("PyYAML", "yaml"), ("typing_extensions", "typing_extensions"), ("toy_x", "toy")):
        wheel(tmp_path, name, module)
    target = tmp_path / "target"
    assert unpack_missing(tmp_path, target) == ["toy_x-1.0-py3-none-any.whl"]
    assert [path.name for path in target.iterdir()] == ["toy.py"]
