"""Whether a hub can be reached: checked once, remembered, and bounded in time."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from deployments.models.weights import reachability
from deployments.models.weights.reachability import forget, hub_reachable, remember, remembered


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachability, "_results", {})
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


class Hub(BaseHTTPRequestHandler):
    """Answers with the status in the path, and counts the requests."""

    url: ClassVar[str]
    requests: ClassVar[int]

    def do_HEAD(self) -> None:
        Hub.requests += 1
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


@pytest.fixture
def hub() -> Iterator[type[Hub]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Hub.url, Hub.requests = f"http://127.0.0.1:{server.server_port}", 0
    yield Hub
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "reachable"), [(200, True), (404, True), (403, False), (407, False), (503, False)]
)
def test_a_hub_is_told_from_a_proxy_that_refuses(
    hub: type[Hub], tmp_path: Path, status: int, reachable: bool
) -> None:
    assert hub_reachable(f"{hub.url}/{status}", tmp_path) is reachable


def test_the_result_is_remembered_here_and_for_others(
    hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{hub.url}/200"
    assert all(hub_reachable(url, tmp_path) for _ in range(3))
    monkeypatch.setattr(reachability, "_results", {})  # another process
    assert hub_reachable(url, tmp_path)
    assert hub.requests == 1
    assert [path.name for path in tmp_path.iterdir()] == [reachability.FILE_NAME]


def test_that_it_cannot_be_reached_is_remembered_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert not hub_reachable(url, tmp_path)
    monkeypatch.setattr(reachability, "_check", lambda url: pytest.fail("checked again"))
    assert not hub_reachable(url, tmp_path)
    monkeypatch.setattr(reachability, "_results", {})
    assert not hub_reachable(url, tmp_path)


def test_a_result_goes_stale_after_ten_minutes(
    hub: type[Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{hub.url}/200"
    (tmp_path / reachability.FILE_NAME).write_text(
        json.dumps({url: [False, time.time() - 601], "old": [True, 1.0]})
    )
    monkeypatch.setattr(reachability, "_results", {url: (False, time.time() - 601)})
    assert hub_reachable(url, tmp_path)
    assert list(json.loads((tmp_path / reachability.FILE_NAME).read_text())) == [url]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": [true, "x"]}'])
def test_a_damaged_file_is_replaced_by_a_new_check(
    hub: type[Hub], tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / reachability.FILE_NAME).write_text(content)
    assert hub_reachable(f"{hub.url}/200", tmp_path)
    assert "trying again" in caplog.text


def test_a_folder_that_cannot_be_written_only_costs_the_memory(
    hub: type[Hub], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    assert hub_reachable(f"{hub.url}/200", tmp_path / "file" / "work")
    assert "cannot remember" in caplog.text


def test_the_whole_check_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(reachability, "CHECK_SECONDS", 0.1)

    def stuck_resolver(*args: object, **options: object) -> httpx.Response:
        released.wait(30)
        raise httpx.ConnectError("at last")

    monkeypatch.setattr(httpx, "head", stuck_resolver)
    assert hub_reachable("http://hub.invalid", tmp_path) is False
    assert not released.is_set()  # it was abandoned, not answered
    released.set()


def test_calls_during_a_check_wait_for_its_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    gate = threading.Event()

    def check(url: str) -> bool:
        checked.append(url)
        return gate.wait(30)

    monkeypatch.setattr(reachability, "_check", check)
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda: results.append(hub_reachable("http://hub", tmp_path)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert results == [True] * 3
    assert checked == ["http://hub"]


def test_a_source_that_failed_is_remembered_until_it_is_forgotten(tmp_path: Path) -> None:
    assert remembered("packages a 1.0", tmp_path) is None
    remember("packages a 1.0", False, tmp_path)
    assert remembered("packages a 1.0", tmp_path) is False
    forget(tmp_path)
    assert remembered("packages a 1.0", tmp_path) is None
    forget(tmp_path)
