"""Submitting, looking up, listing, canceling, and the ZIP of artifacts."""

import io
import zipfile
from typing import Any

import httpx
import pytest

from audiograph.errors import InvalidRequest
from deployments.ingress.backend import Backend
from deployments.ingress.native.archive import archive, distinct
from deployments.ingress.native.jobs import wait_seconds

SPEAK = {"task": "speak", "text": "Hello.", "voice": "en-gb"}


async def submit(client: httpx.AsyncClient, body: Any = None, **headers: str) -> dict[str, Any]:
    answer = await client.post("/v1/jobs", json=body or SPEAK, headers=headers)
    assert answer.status_code in (200, 202), answer.text
    job: dict[str, Any] = answer.json()
    return job


async def test_a_job_is_queued_with_model_and_variant_filled_in(
    client: httpx.AsyncClient, uploaded: str
) -> None:
    answer = await client.post(
        "/v1/jobs", json={"task": "transcribe", "file": uploaded, "client_job_id": "mine"}
    )
    job = answer.json()
    assert answer.status_code == 202
    assert (job["status"], job["model"], job["variant"], job["client_job_id"]) == (
        "queued",
        "listener",
        "tiny",
        "mine",
    )
    assert answer.headers["location"] == job["urls"]["self"] == f"http://localhost/v1/jobs/{job['id']}"
    assert (await client.get(job["urls"]["self"])).json() == job


async def test_a_wait_holds_the_answer_and_says_so(client: httpx.AsyncClient, queue: Any) -> None:
    waited = await client.post("/v1/jobs", json=SPEAK, headers={"prefer": "respond-async, wait=0.05"})
    assert (waited.status_code, waited.headers["preference-applied"]) == (202, "wait=0.05")
    queue.finish(waited.json()["id"], "succeeded")
    headers = {"prefer": "wait=5", "idempotency-key": "k"}
    job = await submit(client, **{"idempotency-key": "k"})
    queue.finish(job["id"], "succeeded")
    done = await client.post("/v1/jobs", json=SPEAK, headers=headers)
    assert (done.status_code, done.json()["status"]) == (200, "succeeded")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("respond-async", None),
        ("wait=10", 10),
        ("WAIT = 10", 10),
        ('wait="10"', 10),
        ("handling=lenient; wait=10", 10),
        ("wait=999999", 60),
        ("wait=0", 0),
    ],
)
def test_the_wait_of_a_prefer_header(header: str | None, seconds: float | None) -> None:
    assert wait_seconds(header, 60) == seconds


@pytest.mark.parametrize(
    "header", ["wait=", "wait=soon", "wait=-1", "wait=1e9", "wait=nan", f"wait={'9' * 5000}"]
)
def test_a_wait_that_is_no_number_is_refused(header: str) -> None:
    with pytest.raises(InvalidRequest, match="number of seconds"):
        wait_seconds(header, 60)


async def test_the_same_key_gives_the_same_job(client: httpx.AsyncClient) -> None:
    first = await submit(client, **{"idempotency-key": "once"})
    assert (await submit(client, **{"idempotency-key": "once"}))["id"] == first["id"]
    other = await client.post("/v1/jobs", json=SPEAK | {"speed": 2}, headers={"idempotency-key": "once"})
    assert (other.status_code, other.json()["error"]["code"]) == (409, "idempotency_conflict")


async def test_a_full_queue_says_when_to_come_back(client: httpx.AsyncClient, queue: Any) -> None:
    queue._max_queued = 1
    await submit(client)
    answer = await client.post("/v1/jobs", json=SPEAK)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    assert answer.json()["error"]["code"] == "queue_full"


async def test_jobs_are_listed_newest_first_in_pages(client: httpx.AsyncClient, queue: Any) -> None:
    ids = [(await submit(client))["id"] for _ in range(3)]
    queue.finish(ids[0], "succeeded")
    page = (await client.get("/v1/jobs", params={"limit": 2})).json()
    assert [job["id"] for job in page["data"]] == [ids[2], ids[1]]
    rest = (await client.get("/v1/jobs", params={"limit": 2, "cursor": page["next_cursor"]})).json()
    assert [job["id"] for job in rest["data"]] == [ids[0]]
    assert rest["next_cursor"] is None
    succeeded = (await client.get("/v1/jobs", params={"status": "succeeded", "task": "speak"})).json()
    assert [job["id"] for job in succeeded["data"]] == [ids[0]]


async def test_a_job_is_canceled_once_and_stays_so(client: httpx.AsyncClient, queue: Any) -> None:
    job = await submit(client)
    for _ in range(2):
        answer = await client.post(job["urls"]["cancel"])
        assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    done = await submit(client)
    queue.finish(done["id"], "succeeded")
    assert (await client.post(done["urls"]["cancel"])).status_code == 409


async def test_all_artifacts_come_as_one_zip(client: httpx.AsyncClient, queue: Any, put: Any) -> None:
    contents = [b"one" * 1000, b"two", b"", b"three"]
    names = ["a.wav", "A.wav", "notes.txt", "a.wav"]
    job = await submit(client)
    assert (await client.get(f"/v1/jobs/{job['id']}/artifacts.zip")).status_code == 409
    artifacts = [put(name, content) for name, content in zip(names, contents, strict=True)]
    queue.finish(job["id"], "succeeded", artifacts)
    answer = await client.get(f"/v1/jobs/{job['id']}/artifacts.zip")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    archived = zipfile.ZipFile(io.BytesIO(answer.content))
    assert archived.testzip() is None
    assert archived.namelist() == ["a.wav", "A (2).wav", "notes.txt", "a (3).wav"]
    assert [archived.read(name) for name in archived.namelist()] == contents


async def test_a_job_without_artifacts_gives_an_empty_zip(client: httpx.AsyncClient, queue: Any) -> None:
    job = await submit(client)
    queue.finish(job["id"], "failed")
    answer = await client.get(f"/v1/jobs/{job['id']}/artifacts.zip")
    assert zipfile.ZipFile(io.BytesIO(answer.content)).namelist() == []


def test_a_zip_is_made_in_pieces_as_it_is_read(backend: Backend, put: Any) -> None:
    content = bytes(8 * 1024**2)
    pieces = list(archive(backend.store, [put("long.wav", content), put("long.wav", content + b"x")]))
    assert max(map(len, pieces)) < 2 * 1024**2
    archived = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert [entry.file_size for entry in archived.infolist()] == [len(content), len(content) + 1]


def test_a_numbered_name_may_be_taken_as_well() -> None:
    assert distinct(["a", "a (2)", "a", "b.c.d", "b.c.d"]) == ["a", "a (2)", "a (3)", "b.c.d", "b.c (2).d"]
