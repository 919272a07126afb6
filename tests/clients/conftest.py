"""Fixtures of the client's tests: a fake server, clients of it, and a replacement of sleep."""

from collections.abc import AsyncIterator, Iterator

import pytest

from audiograph import AsyncAudiograph, Audiograph
from tests.clients.fake_server import FakeServer


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the machine's own settings."""
    for name in ("AUDIOGRAPH_URL", "AUDIOGRAPH_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as running:
        yield running


@pytest.fixture
def client(server: FakeServer) -> Iterator[Audiograph]:
    with Audiograph(server.url) as connected:
        yield connected


@pytest.fixture
async def async_client(server: FakeServer) -> AsyncIterator[AsyncAudiograph]:
    async with AsyncAudiograph(server.url) as connected:
        yield connected


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the pauses between retries in place of sleeping."""
    recorded: list[float] = []

    async def async_record(seconds: float) -> None:
        recorded.append(seconds)

    for module in ("http", "events", "download"):
        monkeypatch.setattr(f"audiograph._sync.{module}.sleep", recorded.append)
        monkeypatch.setattr(f"audiograph._async.{module}.async_sleep", async_record)
    return recorded
