"""Health, readiness, metrics, logs and the documentation."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from deployments import logs
from deployments.ingress.backend import Backend
from deployments.storage.tables import Runner

ROOT = Path(__file__).parents[4]
SPEAK = {"task": "speak", "text": "Hello."}


def beat(backend: Backend, seconds_ago: float) -> None:
    at = time.time() - seconds_ago
    with backend.store.database.session() as session:
        session.merge(Runner(executor_id="one", started_at=at, heartbeat_at=at))


async def ready(client: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    answer = await client.get("/ready")
    return answer.status_code, {one["name"]: one for one in answer.json()["dependencies"]}


async def test_it_is_alive(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_it_is_ready_while_a_runner_beats(client: httpx.AsyncClient, backend: Backend) -> None:
    status, found = await ready(client)
    assert (status, found["runner"]["ok"], found["database"]["ok"]) == (503, False, True)
    beat(backend, 1)
    status, found = await ready(client)
    assert status == 200
    assert not found["model absent"]["ok"]
    assert not found["model absent"]["required"]
    beat(backend, backend.config.jobs.dead_after_seconds + 1)
    assert (await ready(client))[0] == 503


async def test_a_lost_dependency_is_named_without_its_secrets(
    client: httpx.AsyncClient, backend: Backend, monkeypatch: Any
) -> None:
    beat(backend, 1)

    def gone() -> None:
        raise OSError("s3://key:hunter2@bucket is gone")

    monkeypatch.setattr(backend.store, "writer", gone)
    status, found = await ready(client)
    assert (status, found["artifacts"]["ok"]) == (503, False)
    assert "hunter2" not in found["artifacts"]["message"]


async def test_metrics_are_those_of_the_job_store(client: httpx.AsyncClient, queue: Any, put: Any) -> None:
    jobs = [(await client.post("/v1/jobs", json=SPEAK)).json()["id"] for _ in range(3)]
    queue.finish(jobs[0], "succeeded")
    put("a.wav", b"12345"), put("b.wav", b"12345")
    answer = await client.get("/metrics")
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    assert samples["audiograph_jobs", "queued", "speak"] == 2
    assert samples["audiograph_jobs", "speak", "succeeded"] == 1
    assert samples["audiograph_oldest_queued_seconds",] == 1.5
    assert samples["audiograph_stored_items",] == 2
    assert samples["audiograph_stored_blobs",] == 1
    assert samples["audiograph_stored_bytes",] == 5


@pytest.mark.parametrize(
    "accept",
    [
        "application/openmetrics-text; version=abc",
        "application/openmetrics-text; version=9.é",
        "text/plain; version=..",
        f"text/plain; version={'9' * 5000}",
        ";;,=",
    ],
)
async def test_a_format_of_metrics_that_does_not_exist_is_ignored(
    client: httpx.AsyncClient, accept: str
) -> None:
    answer = await client.get("/metrics", headers={b"accept": accept.encode("latin-1")})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


async def test_metrics_come_in_the_format_that_is_asked_for(client: httpx.AsyncClient) -> None:
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"
    answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert answer.text.endswith("# EOF\n")


@pytest.fixture
def lines(monkeypatch: Any) -> Iterator[list[dict[str, Any]]]:
    """Collect the log records, as the JSON that would be written."""
    written: list[dict[str, Any]] = []

    class Sink(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(json.loads(self.format(record)))

    sink = Sink()
    sink.setFormatter(logs.JsonFormatter())
    monkeypatch.setattr(logging.getLogger("ray.serve"), "handlers", [sink])
    logs.configure_logging()
    yield written
    for name in ("audiograph", "deployments"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


async def test_each_request_is_one_line(client: httpx.AsyncClient, lines: list[dict[str, Any]]) -> None:
    job = (await client.post("/v1/jobs", json=SPEAK, headers={"x-request-id": "req-1"})).json()
    await client.get(f"/v1/jobs/{job['id']}?secret=1")
    await client.get("/health")
    posted, got = lines
    assert posted["request_id"] == "req-1"
    assert (posted["method"], posted["path"], posted["status"]) == ("POST", "/v1/jobs", 202)
    assert posted["audio_job_id"] == got["audio_job_id"] == job["id"]
    assert posted["ms"] >= 0
    assert got["status"] == 422
    assert "secret" not in json.dumps(got)


async def test_an_unforeseen_error_is_logged_whole(
    client: httpx.AsyncClient, backend: Backend, lines: list[dict[str, Any]], monkeypatch: Any
) -> None:
    monkeypatch.setattr(backend.queue, "get", None)
    await client.get("/v1/jobs/some", headers={"x-request-id": "req-2"})
    error, request = lines
    assert (error["level"], error["request_id"], request["status"]) == ("ERROR", "req-2", 500)
    assert "Traceback" in error["exception"]
    assert "TypeError" in error["exception"]


@pytest.mark.parametrize("given", ["a b", "x" * 129, "<script>", "caf\xe9", ""])
async def test_a_request_id_that_could_do_harm_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    headers = {"x-request-id": given.encode("latin-1")}
    answered = (await client.get("/health", headers=headers)).headers["x-request-id"]  # type: ignore[arg-type]
    assert len(answered) == 32
    assert answered != given


async def test_every_route_is_documented(app: FastAPI, client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()
    assert "HTTPValidationError" not in schema["components"]["schemas"]
    assert (await client.get("/docs")).status_code == 200
    operations = [
        (f"{method} {path}", operation)
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    ]
    assert len(operations) == 32
    for name, operation in operations:
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["tags"], name
        for status, response in operation["responses"].items():
            if status != "204":
                assert all("example" in content for content in response["content"].values()), (name, status)
            if status >= "400" and (name, status) != ("get /ready", "503"):
                models = {"services": "/ServiceError", "openai": "/OpenAIError"}
                model = models.get(operation["tags"][0], "/ErrorBody")
                assert response["content"]["application/json"]["schema"]["$ref"].endswith(model), name


async def test_every_example_request_is_one_that_is_accepted(client: httpx.AsyncClient) -> None:
    from audiograph.schemas import ANY_REQUEST
    from deployments.ingress.http.validation import TASKS
    from deployments.ingress.native.examples import REQUESTS
    from deployments.models.registry import Registry
    from deployments.serve.file import load_file

    served = Registry.from_config(load_file(ROOT / "serve_config.yaml").application.args).cards.values()
    assert set(REQUESTS) == {task for card in served for task in card.tasks}
    assert set(TASKS) - set(REQUESTS) == {"describe", "pipeline"}  # nothing serves them yet
    for example in REQUESTS.values():
        ANY_REQUEST.validate_python(example["value"])


def test_every_example_answer_is_a_record() -> None:
    from audiograph import schemas
    from deployments.ingress.native import examples

    records: dict[str, type[BaseModel]] = {
        "FILE": schemas.File,
        "ARTIFACTS": schemas.ArtifactPage,
        "QUEUED": schemas.Job,
        "CANCELED": schemas.Job,
        "JOBS": schemas.JobPage,
        "MODELS": schemas.ModelList,
        "LOADED": schemas.LoadReport,
        "HEALTH": schemas.Health,
        "READY": schemas.Readiness,
        "NOT_READY": schemas.Readiness,
    }
    for name, model in records.items():
        model.model_validate(getattr(examples, name))
