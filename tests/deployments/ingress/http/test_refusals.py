"""Bad requests: each is a 4xx that names the field and the cure."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from audiograph._patterns import WORDS
from deployments.ingress.app import create_app
from deployments.ingress.backend import Backend
from deployments.ingress.http.json_body import MAX_DEPTH
from deployments.serve.file import ServeFile
from tests.deployments.ingress.conftest import app_config, make_backend


@pytest.fixture(scope="module")
def one_app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Build one application for all tests: it must survive each request."""
    return create_app(make_backend(app_config(tmp_path_factory.mktemp("refusals"))))


@pytest.fixture
async def refusing(one_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(one_app), base_url="http://localhost"
    ) as client:
        yield client


JSON = {"content-type": "application/json"}
ID = "file_" + "0" * 32
T = {"task": "transcribe", "file": ID}
S = {"task": "speak", "text": "Hello."}
D = {"task": "dialogue", "turns": [{"text": "a"}]}


@pytest.mark.parametrize(
    ("body", "status", "field", "says"),
    [
        ({}, 422, "task", "transcribe, separate"),
        ({"task": "transcrib", "file": ID}, 422, "task", "did you mean 'transcribe'?"),
        ({"task": None}, 422, "task", "unknown task"),
        ({"task": ["speak"]}, 422, "task", ""),
        ({"task": "separate", "file": ID}, 422, "task", "transcribe"),
        ({"task": "describe", "file": ID}, 503, "model", "install the package"),
        ({"task": "transcribe"}, 422, "file", "missing"),
        (T, 404, "file", ID),
        (T | {"file": "../../etc/passwd"}, 422, "file", "should have only letters from A to Z, digits and"),
        (T | {"file": 7}, 422, "file", "not 7"),
        (T | {"file": "x" * 65}, 422, "file", "64"),
        (T | {"langauge": "en"}, 422, "langauge", "did you mean 'language'?"),
        (T | {"langauge": "en"}, 422, "langauge", "word_timestamps"),
        (T | {"temperature": 1.5}, 422, "temperature", "less than or equal to 1, not 1.5"),
        (T | {"temperature": "hot"}, 422, "temperature", "'hot'"),
        (T | {"translate": "perhaps"}, 422, "translate", "'perhaps'"),
        (T | {"prompt": "x" * 5000}, 422, "prompt", "4096"),
        (T | {"model": "whispr"}, 422, "model", "listener"),
        (T | {"model": "speaker"}, 422, "model", "listener"),
        (T | {"variant": "huge"}, 422, "variant", "tiny, base"),
        (T | {"priority": 0}, 422, "priority", "not 0"),
        (T | {"priority": 10}, 422, "priority", "9"),
        (T | {"priority": 2.5}, 422, "priority", "integer"),
        (T | {"time_limit": 0}, 422, "time_limit", "greater than 0"),
        (T | {"tags": "one"}, 422, "tags", "list"),
        (T | {"tags": [""]}, 422, "tags.0", "at least 1"),
        (T | {"tags": ["x"] * 40}, 422, "tags", "32"),
        (T | {"creator": "x" * 129}, 422, "creator", "128"),
        (T | {"parent_id": "a b"}, 422, "parent_id", "should have only letters from A to Z, digits and"),
        (S | {"text": ""}, 422, "text", "at least 1"),
        (S | {"text": "x" * 20_001}, 422, "text", "20000"),
        (S | {"speed": 9}, 422, "speed", "4"),
        (S | {"seed": -1}, 422, "seed", "not -1"),
        (S | {"seed": 2**32}, 422, "seed", str(2**32)),
        (S | {"voice": "../nobody"}, 422, "voice", "neither the name of a voice"),
        (S | {"format": "mp4"}, 422, "format", "'flac'"),
        (S | {"parameters": [1]}, 422, "parameters", "dictionary"),
        (S | {"parameters": {"x" * 65: 1}}, 422, None, "64"),
        (D | {"turns": []}, 422, "turns", "at least 1"),
        (D | {"turns": [{"text": "a"}, {"text": ""}]}, 422, "turns.1.text", "at least 1"),
        (D | {"turns": [{"text": "a", "voic": "x"}]}, 422, "turns.0.voic", "did you mean 'voice'?"),
        (D | {"turns": ["a"]}, 422, "turns.0", "'a'"),
        ([T], 422, None, ""),
        ("speak", 422, None, ""),
        (None, 422, None, ""),
    ],
)
async def test_a_bad_job_is_refused_by_its_field(
    refusing: httpx.AsyncClient, body: Any, status: int, field: str | None, says: str
) -> None:
    answer = await refusing.post("/v1/jobs", content=json.dumps(body), headers=JSON)
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert says in error["message"]
    if field:
        assert error["field"] == field
    assert "\n" not in error["message"]
    assert len(error["message"]) < 600


@pytest.mark.parametrize(
    ("content", "content_type", "says"),
    [
        (b"", "application/json", "missing"),
        (b"{", "application/json", "not valid JSON"),
        (b"{'task': 'speak'}", "application/json", "not valid JSON"),
        (b'{"task": "speak", "text": "\xff"}', "application/json", "UTF-8"),
        (b'{"task": "speak", "text": "\\ud800"}', "application/json", "surrogate"),
        (b'{"task": "speak", "text": "a\\u0000b"}', "application/json", "NUL"),
        (b'{"task": "speak", "text": "a", "parameters": {"x": [{"\\u0000": 1}]}}', "application/json", "NUL"),
        (b'{"task": "speak", "text": "a", "parameters": {"x": NaN}}', "application/json", "NaN"),
        (b'{"task": "speak", "text": "a", "parameters": {"x": -Infinity}}', "application/json", "Infinity"),
        (b'{"task": "speak", "text": "a", "parameters": {"x": 1e999}}', "application/json", "too large"),
        (b'{"task": "speak", "text": "a", "seed": ' + b"9" * 5000 + b"}", "application/json", "digits"),
        (b"[" * 100_000, "application/json", "deep"),
        (b'{"task": "speak", "text": "a"}', "text/plain", "application/json"),
        (b'{"task": "speak", "text": "a"}', "", "application/json"),
        (b"task=speak&text=a", "application/x-www-form-urlencoded", "application/json"),
    ],
)
async def test_a_body_that_is_no_json_is_refused(
    refusing: httpx.AsyncClient, content: bytes, content_type: str, says: str
) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await refusing.post("/v1/jobs", content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert says in answer.json()["error"]["message"]


def nested(levels: int) -> Any:
    """Return lists and objects inside each other."""
    value: Any = "end"
    for level in range(levels):
        value = [value] if level % 2 else {"inner": value}
    return value


@pytest.mark.parametrize("levels", [MAX_DEPTH, 255, 256, 400, 900])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/jobs", "parameters"),
        ("/v1/voices", "name"),
        ("/v1/models/speaker/load", "variant"),
        ("/v1/models/speaker/unload", "variant"),
        ("/v1/audio/speech", "input"),
        ("/services/speaker/v1/text-to-speech/anna", "parameters"),
        ("/services/speaker/v1/text-to-dialogue", "inputs"),
    ],
)
async def test_a_body_that_is_nested_too_deeply_is_refused(
    refusing: httpx.AsyncClient, path: str, field: str, levels: int
) -> None:
    answer = await refusing.post(path, json=S | {field: nested(levels)})
    assert answer.status_code == 400
    assert f"field '{field}' is nested too deeply; the limit is {MAX_DEPTH} levels" in answer.text


async def test_parameters_may_be_nested_up_to_the_limit(refusing: httpx.AsyncClient) -> None:
    body = S | {"parameters": {"x": nested(MAX_DEPTH - 2)}}
    assert (await refusing.post("/v1/jobs", json=body)).status_code == 202
    body = S | {"parameters": {"x": nested(MAX_DEPTH - 1)}}
    answer = await refusing.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "parameters")


async def test_every_route_with_a_body_is_strict(refusing: httpx.AsyncClient) -> None:
    paths = (await refusing.get("/openapi.json")).json()["paths"]
    posts = [path for path, methods in paths.items() if takes_json(methods.get("post", {}))]
    assert len(posts) == 7
    for path in posts:
        url = path.format(model="speaker", voice_id="anna")
        answer = await refusing.post(url, json=nested(300))
        assert (answer.status_code, "nested too deeply" in answer.text) == (400, True), path


async def test_every_pattern_of_a_route_and_of_the_configuration_has_words(
    refusing: httpx.AsyncClient,
) -> None:
    found = patterns((await refusing.get("/openapi.json")).json()) | patterns(ServeFile.model_json_schema())
    assert len(found) > 5
    assert found <= {*WORDS}


def patterns(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
        return own.union(*map(patterns, schema.values()))
    return set().union(*map(patterns, schema)) if isinstance(schema, list) else set()


def takes_json(operation: dict[str, Any]) -> bool:
    return "application/json" in operation.get("requestBody", {}).get("content", {})


async def test_a_byte_order_mark_is_no_part_of_json(refusing: httpx.AsyncClient) -> None:
    content = b"\xef\xbb\xbf" + json.dumps(S).encode()
    assert (await refusing.post("/v1/jobs", content=content, headers=JSON)).status_code == 202


async def test_an_untyped_body_of_unknown_length_is_refused(refusing: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        yield json.dumps(S).encode()

    answer = await refusing.post("/v1/jobs", content=chunks())
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "Content-Type")
    assert "an untyped body" in answer.json()["error"]["message"]


@pytest.mark.parametrize("value", ["a\0b", "\ud800", ["a", {"b": "\0"}], {"\0": 1}])
async def test_characters_that_cannot_be_stored_are_refused_by_their_field(
    refusing: httpx.AsyncClient, value: Any
) -> None:
    content = json.dumps(S | {"parameters": value})
    answer = await refusing.post("/v1/jobs", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "parameters")
    assert "field 'parameters'" in answer.json()["error"]["message"]


async def test_a_huge_body_is_refused_before_it_is_read(refusing: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while True:
            sent += 2**20
            yield bytes(2**20)

    answer = await refusing.post("/v1/jobs", content=endless(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "payload_too_large")
    assert sent <= 8 * 2**20


@pytest.mark.parametrize(
    ("method", "path", "status", "field"),
    [
        ("GET", "/v1/jobs?limit=0", 422, "limit"),
        ("GET", "/v1/jobs?limit=201", 422, "limit"),
        ("GET", "/v1/jobs?limit=many", 422, "limit"),
        ("GET", "/v1/jobs?status=done", 422, "status"),
        ("GET", "/v1/jobs?task=sing", 422, "task"),
        ("GET", "/v1/jobs?statsu=queued", 422, "statsu"),
        ("GET", f"/v1/jobs?cursor={'x' * 300}", 422, "cursor"),
        ("GET", "/v1/artifacts?cursor=nonsense", 422, "cursor"),
        ("GET", "/v1/artifacts?tag=a%00b", 422, "tag"),
        ("GET", "/v1/artifacts?job_id=a%20b", 422, "job_id"),
        ("GET", "/v1/jobs/nothing", 404, "job_id"),
        ("GET", "/v1/jobs/a%00b", 422, "job_id"),
        ("GET", "/v1/jobs/nothing?verbose=1", 422, "verbose"),
        ("GET", "/v1/jobs/nothing/events", 404, "job_id"),
        ("GET", "/v1/jobs/nothing/artifacts.zip", 404, "job_id"),
        ("POST", "/v1/jobs/nothing/cancel", 404, "job_id"),
        ("GET", "/v1/files/nothing", 404, "file_id"),
        ("GET", "/v1/files/nothing/content", 404, "file_id"),
        ("DELETE", "/v1/files/nothing", 404, "file_id"),
        ("GET", "/v1/files/%2e%2e%2fetc", 404, None),
        ("GET", "/v1/artifacts/art_nothing", 404, "artifact_id"),
        ("GET", "/v1/models/nothing", 404, "model"),
        ("GET", "/v1/nothing", 404, None),
        ("GET", "/v1/jobs/", 404, None),
        ("PUT", "/v1/jobs", 405, None),
        ("DELETE", "/v1/jobs/nothing", 405, None),
    ],
)
async def test_a_bad_path_or_query_is_refused(
    refusing: httpx.AsyncClient, method: str, path: str, status: int, field: str | None
) -> None:
    answer = await refusing.request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error.get("field")) == (status, field), error
    assert error["message"]


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "caf\xe9"])
async def test_a_bad_idempotency_key_is_refused(refusing: httpx.AsyncClient, key: str) -> None:
    headers = {b"idempotency-key": key.encode("latin-1")}
    answer = await refusing.post("/v1/jobs", json=S, headers=headers)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "Idempotency-Key")


async def test_several_faults_are_told_at_once(refusing: httpx.AsyncClient) -> None:
    answer = await refusing.post("/v1/jobs", json=S | {"speed": 9, "seed": -1, "volume": 3})
    error = answer.json()["error"]
    assert "2 more" in error["message"]
    assert [finding["field"] for finding in error["details"]["errors"]] == ["speed", "seed", "volume"]


async def test_an_unforeseen_error_tells_its_request_id_and_no_more(
    app: FastAPI, client: httpx.AsyncClient, backend: Backend, monkeypatch: Any, caplog: Any
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("password=hunter2")

    monkeypatch.setattr(backend.queue, "get", broken)
    headers = {"x-request-id": "req-1", "origin": "http://localhost:3000"}
    answer = await client.get("/v1/jobs/some", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert answer.json()["error"]["details"] == {"request_id": "req-1"}
    assert "hunter2" not in answer.text
    assert answer.headers["x-request-id"] == "req-1"
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("sections", [{"http": {"public_url": "https://audio.example/api/"}}])
async def test_urls_are_under_the_public_one(client: httpx.AsyncClient) -> None:
    job = (await client.post("/v1/jobs", json=S)).json()
    assert job["urls"]["events"] == f"https://audio.example/api/v1/jobs/{job['id']}/events"
