"""The real application: a server process on a free port, called through the real client."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from audiograph import Audiograph
from tests.support.server import Server

MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """A function that creates servers for one test, which may kill them."""
    servers: list[Server] = []

    def make(**args: Any) -> Server:
        servers.append(Server(tmp_path / f"server{len(servers)}", args))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that do not stop it."""
    server = Server(tmp_path_factory.mktemp("server"), {}).start()
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Audiograph]:
    """A client of the shared server."""
    with Audiograph(server.url) as client:
        yield client
