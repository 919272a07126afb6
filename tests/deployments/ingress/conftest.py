"""The ingress over real storage and fakes of the rest; in process, and on a real socket."""

import io
import socket
import tempfile
import threading
import time
import wave
from collections.abc import AsyncIterator, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from audiograph.schemas import Artifact
from deployments.config import AppConfig, HttpConfig
from deployments.ingress.app import create_app
from deployments.ingress.backend import Backend
from deployments.models.registry import Registry
from deployments.storage.artifacts import ArtifactStore, Provenance
from deployments.storage.database import Database
from deployments.storage.voices import VoiceStore
from tests.deployments.ingress.fakes import FakeDirect, FakeModels, FakeQueue

HERE = "tests.deployments.ingress.fakes"


def wav(seconds: float = 0.1, rate: int = 8000) -> bytes:
    """Silence that decodes."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * int(seconds * rate)))
    return buffer.getvalue()


def app_config(folder: Path, **sections: Any) -> AppConfig:
    """A configuration with a model of each kind that matters here."""
    base: dict[str, Any] = {
        "weights": "tiny",
        "models": {
            "listener": {"class": f"{HERE}:Listener"},
            "speaker": {"class": f"{HERE}:Speaker"},
            "cloner": {"class": f"{HERE}:Cloner"},
            "absent": {"class": f"{HERE}:Absent"},
        },
        "storage": {
            "database_url": f"sqlite:///{folder / 'audiograph.db'}",
            "artifacts_url": str(folder / "artifacts"),
        },
        "exports": {"folder": folder / "exports"},
        "work_dir": folder / "work",
    }
    return AppConfig.model_validate(base | sections)


@cache
def _empty_database() -> bytes:
    """Return an SQLite file with all tables, since a copy is faster than migrations."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        database = Database(f"sqlite:///{path}")
        database.migrate()
        database.close()
        return path.read_bytes()


def make_backend(config: AppConfig, max_queued: int = 100) -> Backend:
    """Real storage and registry, fake queue and models."""
    path = Path(config.storage.database_url.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_empty_database())
    store = ArtifactStore.open(config.storage)
    registry = Registry.from_config(config)
    voices = VoiceStore(store, config.voices, config.limits)
    queue: Any = FakeQueue(registry, store, voices, max_queued)
    return Backend(config, registry, store, voices, queue, FakeModels(), FakeDirect())


def stored_files(folder: Path) -> list[Path]:
    """Every file that the artifact store keeps, finished or not."""
    return [path for path in (folder / "artifacts").rglob("*") if path.is_file()]


@pytest.fixture
def sections() -> dict[str, Any]:
    """Parts of the configuration that a test sets otherwise: override it with parametrize."""
    return {}


@pytest.fixture
def backend(tmp_path: Path, sections: dict[str, Any]) -> Backend:
    return make_backend(app_config(tmp_path, **sections))


@pytest.fixture
def queue(backend: Backend) -> Any:
    return backend.queue


@cache
def _shared_app() -> FastAPI:
    with tempfile.TemporaryDirectory() as folder:
        return create_app(make_backend(app_config(Path(folder))))


@pytest.fixture
def app(backend: Backend) -> FastAPI:
    """The application, one for all tests that do not configure it: to make its routes takes long."""
    if backend.config.auth.required or backend.config.http != HttpConfig():
        return create_app(backend)
    app = _shared_app()
    app.state.backend = backend
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def uploaded(backend: Backend) -> str:
    """Id of a stored file."""
    with backend.store.writer() as writer:
        writer.write(wav())
        return writer.commit_file("talk.wav", "audio/wav", None).id


@pytest.fixture
def put(backend: Backend) -> Callable[..., Artifact]:
    """Stores an artifact."""

    def put_artifact(name: str, content: bytes, media_type: str = "audio/wav", **provenance: Any) -> Artifact:
        return backend.store.put_artifact(name, content, media_type, provenance=Provenance(**provenance))

    return put_artifact


class Served:
    """An application behind a real uvicorn in a thread."""

    def __init__(self, app: ASGIApp) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.address}"
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> "Served":
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


@pytest.fixture
def served(app: FastAPI) -> Iterator[Served]:
    with Served(app) as server:
        yield server
