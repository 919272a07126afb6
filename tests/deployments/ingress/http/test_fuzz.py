"""Requests drawn at random: whatever a client sends, the server's own errors are not the answer."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiograph.schemas import Request
from deployments.ingress.app import create_app
from tests.deployments.ingress.conftest import app_config, make_backend

FIELDS_OF = {cls.model_fields["task"].default: list(cls.model_fields) for cls in Request.__subclasses__()}
RIGHT: dict[str, Any] = {"speak": {"text": "a"}, "dialogue": {"turns": [{"text": "a"}]}}
"""The fields that a request must have, by task."""
FIELDS = [
    "parameters",
    "input",
    "voice",
    "name",
    "file",
    "transcript",
    "variant",
    "output_filepath",
    "inputs",
    "text",
]
UNAVAILABLE = 503
"""The one error of the server itself that is right: of a model whose package is not installed."""

several = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
numbers = st.integers() | st.integers(10**3998, 10**4000) | st.floats(allow_nan=True)
words = st.text() | st.sampled_from(["speaker", "cloner", "en-us", "wav", "../a", "a\0b", "\ud800"])
values = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
deep = st.integers(1, 400).map(lambda levels: {"x": json.loads("[" * levels + "]" * levels)})
headers = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"))


@st.composite
def jobs(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a request that is right in all but one of its fields."""
    task = draw(st.sampled_from(sorted(RIGHT)))
    field = draw(st.just("parameters") | st.sampled_from(FIELDS_OF[task]))
    return {"task": task, **RIGHT[task], field: draw(deep | values)}


@pytest.fixture(scope="module")
def one_app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    return create_app(make_backend(app_config(tmp_path_factory.mktemp("fuzz")), max_queued=10_000))


@pytest.fixture
async def fuzzed(one_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(one_app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


def is_the_callers(answer: httpx.Response) -> bool:
    return answer.status_code < 500 or answer.status_code == UNAVAILABLE


@several
@given(body=jobs() | st.dictionaries(st.sampled_from(["task", *FIELDS]), values) | values)
async def test_no_job_breaks_the_server(fuzzed: httpx.AsyncClient, body: Any) -> None:
    answer = await fuzzed.post(
        "/v1/jobs", content=json.dumps(body), headers={"content-type": "application/json"}
    )
    assert is_the_callers(answer)


@several
@given(
    path=st.sampled_from(
        [
            "/v1/voices",
            "/v1/audio/speech",
            "/v1/models/speaker/load",
            "/services/nobody/v1/text-to-speech/a",
            "/services/nobody/v1/text-to-dialogue",
        ]
    ),
    body=st.dictionaries(st.sampled_from(FIELDS), values | deep) | values,
)
async def test_no_body_breaks_the_server(fuzzed: httpx.AsyncClient, path: str, body: Any) -> None:
    answer = await fuzzed.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
    assert is_the_callers(answer)


@several
@given(
    path=st.sampled_from(["/v1/jobs", "/v1/files", "/v1/voices", "/v1/audio/speech"]),
    content=st.binary(),
    kind=headers | st.sampled_from(["application/json", "multipart/form-data; boundary=X"]),
)
async def test_no_bytes_break_the_server(
    fuzzed: httpx.AsyncClient, path: str, content: bytes, kind: str
) -> None:
    answer = await fuzzed.post(path, content=content, headers={b"content-type": kind.encode("latin-1")})
    assert is_the_callers(answer)


@several
@given(
    path=st.sampled_from(
        [
            "/v1/jobs/{}",
            "/v1/jobs/{}/events",
            "/v1/files/{}",
            "/v1/artifacts/{}/content",
            "/v1/voices/{}",
            "/v1/models/{}",
            "/services/{}/health",
            "/v1/jobs?cursor={}",
            "/v1/jobs?limit={}",
            "/v1/artifacts?cursor={}",
            "/v1/artifacts?tag={}",
            "/v1/artifacts?job_id={}",
            "/v1/jobs/nothing/events?after={}",
        ]
    ),
    part=st.binary(max_size=80) | st.integers(0, 10**80).map(lambda number: str(number).encode()),
    method=st.sampled_from(["GET", "HEAD", "DELETE", "OPTIONS", "BREW"]),
)
async def test_no_path_breaks_the_server(
    fuzzed: httpx.AsyncClient, path: str, part: bytes, method: str
) -> None:
    quoted = "".join(f"%{byte:02x}" for byte in part)
    assert is_the_callers(await fuzzed.request(method, path.format(quoted)))


@several
@given(
    name=st.sampled_from(
        [
            "accept",
            "prefer",
            "range",
            "if-none-match",
            "if-range",
            "idempotency-key",
            "x-request-id",
            "origin",
        ]
    ),
    value=headers,
    path=st.sampled_from(["/metrics", "/v1/jobs", "/v1/audio/voices"]),
)
async def test_no_header_breaks_the_server(
    fuzzed: httpx.AsyncClient, name: str, value: str, path: str
) -> None:
    assert is_the_callers(await fuzzed.get(path, headers={name.encode(): value.encode("latin-1")}))
