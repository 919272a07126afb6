"""Large uploads and downloads in little memory, and interrupted uploads."""

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from audiograph import Audiograph
from audiograph.errors import NotFound
from deployments.config import MIB
from deployments.serve.file import load_file
from deployments.storage.artifacts import ArtifactStore, Usage
from tests.support.server import Server
from tests.support.sounds import patched, tone, wav_bytes

pytestmark = pytest.mark.cluster

SECONDS = 2605
"""Duration of 500 MB of 48 kHz stereo at 16 bits."""
RATE = 48_000
ALLOWED_BYTES = 64 * 1000**2
PATIENCE = 60.0


def long_wav() -> Iterator[bytes]:
    """Yield a WAV file of 500 MB, one second at a time."""
    second = wav_bytes(tone(sample_rate=RATE, channels=2), RATE)[44:]
    size = SECONDS * len(second)
    header = wav_bytes(tone(seconds=0, channels=2), RATE)
    yield patched(patched(header, 4, "<I", len(header) - 8 + size), 40, "<I", size)
    for _ in range(SECONDS):
        yield second


class PeakMemory:
    """Measures by how much a process's peak resident memory rises inside the block, in bytes."""

    def __init__(self, process: psutil.Process) -> None:
        self._proc = Path(f"/proc/{process.pid}")

    def __enter__(self) -> "PeakMemory":
        (self._proc / "clear_refs").write_text("5")  # reset the peak
        self._before = self._peak()
        return self

    def __exit__(self, *_: object) -> None:
        self.rise = self._peak() - self._before

    def _peak(self) -> int:
        status = (self._proc / "status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


def ingress(server: Server) -> psutil.Process:
    """Return the process of the ingress."""
    (process,) = server.processes("ServeReplica:audiograph:ingress")
    return process


@pytest.fixture
def direct(server: Server) -> Iterator[Audiograph]:
    """A client whose connection leads to the ingress itself.

    In the first second Ray's own proxy stands in for it, which holds a whole upload in memory, and a
    connection that was opened then stays with it.
    """
    wait_until(lambda: is_routed(server))
    with Audiograph(server.url) as client:
        yield client


def test_half_a_gigabyte_is_uploaded_and_downloaded_in_little_memory(
    server: Server, direct: Audiograph, tmp_path: Path
) -> None:
    direct.files.upload(wav_bytes())  # the imports of a first upload must not count
    digest = hashlib.sha256()

    def hashed() -> Iterator[bytes]:
        for part in long_wav():
            digest.update(part)
            yield part

    with PeakMemory(ingress(server)) as memory:
        stored = direct.files.upload(hashed(), name="concert.wav")
    assert memory.rise < ALLOWED_BYTES
    assert stored.bytes > 500 * 1000**2
    assert stored.sha256 == digest.hexdigest()
    assert (stored.duration, stored.sample_rate, stored.channels) == (SECONDS, RATE, 2)

    with PeakMemory(ingress(server)) as memory:
        path = direct.files.download(stored, tmp_path / "concert.wav")  # the client checks its SHA-256
    assert memory.rise < ALLOWED_BYTES
    assert path.stat().st_size == stored.bytes

    path.unlink()
    direct.files.delete(stored)
    with pytest.raises(NotFound):
        direct.files.get(stored)


def is_routed(server: Server) -> bool:
    """Return whether HAProxy knows the ingress, and so connects to it."""
    with Audiograph(server.url) as client:
        client.health()
        connections = ingress(server).net_connections()
    listening = {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
    return any(
        each.laddr.port in listening and each.status == psutil.CONN_ESTABLISHED for each in connections
    )


def stored_state(server: Server) -> tuple[Usage, set[Path]]:
    """Return the usage in the database, and every file on the disk, including unfinished ones."""
    store = ArtifactStore.open(load_file(server.config).application.args.storage)
    usage = store.usage()
    store.database.engine.dispose()
    return usage, {path for path in server.artifacts.rglob("*") if path.is_file()}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"the condition was not met within {PATIENCE:g} s"
        time.sleep(0.05)


def begin_upload(server: Server, *headers: str) -> socket.socket:
    """Send the head of an upload and return the connection, to which the body can be written."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    lines = (
        "POST /v1/files HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        "Content-Type: multipart/form-data; boundary=border",
        *headers,
    )
    connection.sendall("\r\n".join((*lines, "", "")).encode())
    return connection


PART = b'--border\r\nContent-Disposition: form-data; name="file"; filename="half.wav"\r\n\r\n'


@pytest.mark.parametrize("framing", ["Content-Length: 50000000", "Transfer-Encoding: chunked"])
def test_an_upload_that_is_cut_off_leaves_nothing(server: Server, client: Audiograph, framing: str) -> None:
    before = stored_state(server)
    body = PART + wav_bytes(seconds=60.0)[: 4 * MIB]
    if "chunked" in framing:
        body = b"%x\r\n%b\r\n" % (len(body), body)
    connection = begin_upload(server, framing)
    connection.sendall(body)
    wait_until(lambda: stored_state(server) != before)  # its first bytes are on disk
    connection.close()
    wait_until(lambda: stored_state(server) == before)
    assert client.files.upload(wav_bytes()).duration == 1.0


def test_a_form_that_ends_too_early_is_refused_and_leaves_nothing(server: Server) -> None:
    before = stored_state(server)
    body = PART + wav_bytes(seconds=60.0)
    with begin_upload(server, f"Content-Length: {len(body)}", "Connection: close") as connection:
        connection.sendall(body)
        response = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert response.startswith(b"HTTP/1.1 400")
    assert b"breaks off before its closing boundary" in response
    assert stored_state(server) == before
