"""Pages in a real browser, on other origins and on the server's own, against a server without API keys."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from deployments.ingress.backend import Backend
from tests.deployments.ingress.conftest import Served, stored_files
from tests.support.browser import CHROMIUM, Site, shown

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium, which is not installed")

JOB = {"task": "speak", "text": "Hello."}
REACHED = {
    "read": 200,
    "submit": 202,
    "text": "opaque",
    "empty": "opaque",
    "beacon": True,
    "form": "sent",
    "image": "error",
    "script": "error",
    "events": "open",
    "socket": "open",
}
"""Outcomes of a page that may use the server; an image or a script of JSON is an error anyway."""


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def elsewhere(site: Site) -> Iterator[Served]:
    with Served(site.app) as server:
        yield server


@pytest.fixture
def job(served: Served) -> str:
    return str(httpx.post(f"{served.url}/v1/jobs", json=JOB).json()["id"])


def page(host: str, site: Served, server: str, job: str) -> str:
    return f"http://{host}:{site.address.rpartition(':')[2]}/page?server={server}&job={job}"


def test_a_page_of_another_origin_can_neither_read_nor_submit_nor_write(
    *,
    site: Site,
    elsewhere: Served,
    served: Served,
    job: str,
    backend: Backend,
    tmp_path: Path,
    caplog: Any,
) -> None:
    caplog.set_level("INFO")
    outcomes = site.outcomes(page("evil.example", elsewhere, served.url, job), tmp_path / "profile")
    assert {outcomes[name] for name in ("read", "submit", "image", "script", "events", "socket")} == {"error"}
    untouched(backend, tmp_path, job)
    refused = [record for record in caplog.records if hasattr(record, "refused")]
    assert len(refused) >= len(REACHED) - 1  # each attempt has reached the server, and was refused there


def untouched(backend: Backend, folder: Path, job: str) -> None:
    queue, models = backend.queue, backend.models
    assert [(one.id, one.status) for one in queue.jobs.values()] == [(job, "queued")]  # type: ignore[attr-defined]
    assert models.asked == []  # type: ignore[attr-defined]
    assert stored_files(folder) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_page_of_this_machine_can_use_the_server(
    *, site: Site, elsewhere: Served, served: Served, job: str, backend: Backend, tmp_path: Path, host: str
) -> None:
    outcomes = site.outcomes(page(host, elsewhere, served.url, job), tmp_path / "profile")
    assert outcomes == REACHED
    used(backend, tmp_path, job)


def used(backend: Backend, folder: Path, job: str) -> None:
    queue, models = backend.queue, backend.models
    assert queue.jobs[job].status == "canceled"  # type: ignore[attr-defined]
    assert len(queue.jobs) == 2  # type: ignore[attr-defined]
    assert [action for action, *_ in models.asked] == ["load"]  # type: ignore[attr-defined]
    assert len(stored_files(folder)) == 1


def test_a_page_of_the_server_itself_can_use_it(
    app: FastAPI, backend: Backend, tmp_path: Path, served: Served, job: str
) -> None:
    site = Site(app)
    with Served(site.app) as own:
        outcomes = site.outcomes(page("127.0.0.1", own, own.url, job), tmp_path / "profile")
    assert outcomes == REACHED | {"text": "basic", "empty": "basic", "script": "load"}
    used(backend, tmp_path, job)


def test_a_name_that_was_rebound_shows_nothing(served: Served, job: str, tmp_path: Path) -> None:
    port = served.address.rpartition(":")[2]
    rebound = shown(f"http://evil.example:{port}/v1/jobs/{job}", tmp_path / "profile")
    assert "http.allowed_hosts" in rebound
    assert "queued" not in rebound
    assert "queued" in shown(f"http://localhost:{port}/v1/jobs/{job}", tmp_path / "profile")


def test_the_documentation_is_shown(served: Served, tmp_path: Path) -> None:
    assert "swagger-ui" in shown(f"{served.url}/docs", tmp_path / "profile")
