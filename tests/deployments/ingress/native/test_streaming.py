"""Large and broken transfers over a real socket, to an ingress in a process of its own."""

import hashlib
import os
import re
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deployments.ingress.conftest import stored_files, wav

ROOT = Path(__file__).parents[4]
MIB = 1024**2
LARGE = 500 * MIB
ALLOWED = 64 * MIB


@dataclass
class Ingress:
    """A running ingress."""

    process: subprocess.Popen[str]
    port: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def peak_bytes(self) -> int:
        """The most resident memory that the process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024


@pytest.fixture(scope="module")
def ingress(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingress]:
    folder = tmp_path_factory.mktemp("ingress")
    command = [sys.executable, "-m", "tests.deployments.ingress.server", str(folder)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'clients'}"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    yield Ingress(process, int(process.stdout.readline()), folder)
    process.kill()
    process.wait()


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    """A WAV file of some 500 MiB, and nothing but silence."""
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(48_000)
        for _ in range(LARGE // MIB):
            file.writeframesraw(bytes(MIB))
    return path


def test_an_upload_cut_off_midway_leaves_nothing(ingress: Ingress) -> None:
    head = (
        f"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LARGE}\r\n"
        "Content-Type: multipart/form-data; boundary=XX\r\n\r\n"
        '--XX\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", ingress.port)) as connection:
        connection.sendall(head.encode() + wav() + bytes(8 * MIB))
        wait_until(lambda: any(path.stat().st_size for path in stored_files(ingress.folder)))
    wait_until(lambda: stored_files(ingress.folder) == [])
    assert httpx.get(f"{ingress.url}/health").status_code == 200


def test_a_large_file_takes_no_memory_however_slowly_it_is_read(ingress: Ingress, long_file: Path) -> None:
    with httpx.Client(base_url=ingress.url, timeout=120) as client:
        client.post("/v1/files", files={"file": ("short.wav", wav())}).raise_for_status()
        before = ingress.peak_bytes()
        with long_file.open("rb") as file:
            created = client.post("/v1/files", files={"file": file}).raise_for_status().json()
        assert created["bytes"] == long_file.stat().st_size
        digest = hashlib.sha256()
        with client.stream("GET", created["url"]) as answer:
            for number, chunk in enumerate(answer.iter_bytes()):
                digest.update(chunk)
                if number == 0:
                    time.sleep(1)  # in which all of it could be read ahead
        assert digest.hexdigest() == created["sha256"]
        assert ingress.peak_bytes() - before < ALLOWED


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
