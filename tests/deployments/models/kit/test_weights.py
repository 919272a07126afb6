import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from deployments.models.kit import weights
from deployments.models.kit.weights import hub_reachable


@pytest.fixture(autouse=True)
def _forgotten(monkeypatch):
    monkeypatch.setattr(weights, "_answers", {})
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub():
    """A server that answers with the status in the path, and counts."""

    class Hub(BaseHTTPRequestHandler):
        asked = 0

        def do_HEAD(self):
            Hub.asked += 1
            self.send_response(int(self.path.strip("/")))
            self.end_headers()

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Hub.url = f"http://127.0.0.1:{server.server_port}"
    yield Hub
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "reachable"), [(200, True), (404, True), (403, False), (407, False), (503, False)]
)
def test_a_hub_is_told_from_a_proxy_that_refuses(hub, tmp_path, status, reachable):
    assert hub_reachable(f"{hub.url}/{status}", tmp_path) is reachable


def test_the_answer_is_remembered_here_and_for_others(hub, tmp_path, monkeypatch):
    url = f"{hub.url}/200"
    assert all(hub_reachable(url, tmp_path) for _ in range(3))
    monkeypatch.setattr(weights, "_answers", {})  # another process
    assert hub_reachable(url, tmp_path)
    assert hub.asked == 1
    assert [path.name for path in tmp_path.iterdir()] == [weights.FILE_NAME]


def test_that_it_cannot_be_reached_is_remembered_too(tmp_path, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert not hub_reachable(url, tmp_path)
    monkeypatch.setattr(weights, "_ask", lambda url: pytest.fail("asked again"))
    assert not hub_reachable(url, tmp_path)
    monkeypatch.setattr(weights, "_answers", {})
    assert not hub_reachable(url, tmp_path)


def test_an_answer_goes_stale_after_ten_minutes(hub, tmp_path, monkeypatch):
    url = f"{hub.url}/200"
    (tmp_path / weights.FILE_NAME).write_text(
        json.dumps({url: [False, time.time() - 601], "old": [True, 1.0]})
    )
    monkeypatch.setattr(weights, "_answers", {url: (False, time.time() - 601)})
    assert hub_reachable(url, tmp_path)
    assert list(json.loads((tmp_path / weights.FILE_NAME).read_text())) == [url]


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": [true, "x"]}'])
def test_a_damaged_file_is_asked_over(hub, tmp_path, content, caplog):
    (tmp_path / weights.FILE_NAME).write_text(content)
    assert hub_reachable(f"{hub.url}/200", tmp_path)
    assert "asking anew" in caplog.text


def test_a_folder_that_cannot_be_written_only_costs_the_memory(hub, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    assert hub_reachable(f"{hub.url}/200", tmp_path / "file" / "work")
    assert "not remembered" in caplog.text


def test_the_whole_question_is_bounded(tmp_path, monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(weights, "CHECK_SECONDS", 0.1)

    def stuck_resolver(*args, **options):
        asked.wait(30)
        raise httpx.ConnectError("at last")

    monkeypatch.setattr(weights.httpx, "head", stuck_resolver)
    assert hub_reachable("http://hub.invalid", tmp_path) is False
    assert not asked.is_set()  # it was given up, not answered
    asked.set()


def test_who_asks_meanwhile_waits_for_the_same_answer(tmp_path, monkeypatch):
    asked, gate = [], threading.Event()

    def ask(url):
        asked.append(url)
        return gate.wait(30)

    monkeypatch.setattr(weights, "_ask", ask)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(hub_reachable("http://hub", tmp_path)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert answers == [True] * 3
    assert asked == ["http://hub"]
