"""Long values are shortened in every error, and never become a server error."""

import json
import logging
from typing import Any

import httpx
import pytest

LONG = "x" * 2**20
DIGITS = "9" * 4000
JSON = {"content-type": "application/json"}
S = '{"task": "speak", "text": "Hi.", '
PARAMETERS = '{"task": "speak", "model": "higgs", "text": "Hi.", "parameters": '
SEEDED = {"text": "a", "output_filepath": "a.wav", "parameters": {"seed": LONG}}
SIZE = 4000
"""Characters of the longest answer."""


@pytest.fixture
def sections() -> dict[str, Any]:
    fakes = "tests.deployments.ingress.fakes"
    return {
        "models": {
            "speaker": {"class": f"{fakes}:Speaker"},
            "listener": {"class": f"{fakes}:Listener"},
            "higgs": {"class": "deployments.models.higgs:Higgs"},
        }
    }


BODIES = [
    S + f'"seed": {DIGITS}}}',
    S + f'"seed": -{DIGITS}}}',
    S + f'"seed": {"9" * 5000}}}',
    S + f'"speed": {DIGITS}}}',
    S + f'"speed": {DIGITS}.5}}',
    S + f'"speed": "{LONG}"}}',
    S + f'"{LONG}": 1}}',
    S + f'"parameters": {{"{LONG}": 1}}}}',
    S + f'"voice": {json.dumps([1] * 10_000)}}}',
    S + f'"voice": {json.dumps({str(n): n for n in range(10_000)})}}}',
    S + f'"tags": {json.dumps(["x" * 200] * 10_000)}}}',
    S + f'"seed": {"[" * 200}{"]" * 200}}}',
    S + f'"model": "{LONG}"}}',
    f'{{"task": "{LONG}"}}',
    f'{{"task": {DIGITS}}}',
    f'{{"task": "speak", "text": "{"." * 19_000}"}}',
    f'"{LONG}"',
    DIGITS,
    PARAMETERS + f'{{"top_k": {DIGITS}}}}}',
    PARAMETERS + f'{{"temperature": {DIGITS}}}}}',
    PARAMETERS + f'{{"transcription": "{LONG}"}}}}',
    PARAMETERS + f'{{"scene_prompt": {json.dumps([[1]] * 10_000)}}}}}',
    PARAMETERS + f'{{"audio_transcriptions": {json.dumps([1] * 10_000)}}}}}',
]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_a_long_value_in_a_body_is_shortened(client: httpx.AsyncClient, body: str) -> None:
    _check(await client.post("/v1/jobs", content=body, headers=JSON))


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/jobs?limit={'9' * 5000}",
        f"/v1/jobs?cursor={'9' * 5000}",
        f"/v1/jobs?{'x' * 5000}=1",
        f"/v1/jobs/{'x' * 5000}",
        f"/v1/jobs/{'x' * 5000}/events",
        f"/v1/models/{'x' * 5000}",
        f"/v1/voices/{'x' * 5000}",
        f"/v1/files/{'x' * 5000}/content",
        f"/v1/{'x' * 5000}",
        f"/services/{'x' * 5000}/health",
    ],
)
async def test_a_long_value_in_a_path_or_query_is_shortened(
    client: httpx.AsyncClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="deployments")
    _check(await client.get(path))
    assert all(len(record.getMessage()) < SIZE for record in caplog.records if "deployments" in record.name)


@pytest.mark.parametrize("name", ["Content-Type", "Prefer", "Idempotency-Key", "Last-Event-ID"])
async def test_a_long_header_is_shortened(client: httpx.AsyncClient, name: str) -> None:
    long = f"wait={'x' * 5000}"
    if name == "Last-Event-ID":
        _check(await client.get("/v1/jobs/absent/events", headers={name: long}))
    else:
        _check(
            await client.post(
                "/v1/jobs", content=S + '"seed": 1}', headers={"Content-Type": "application/json", name: long}
            )
        )


@pytest.mark.parametrize("field", ["x" * 5000, "file"])
async def test_a_long_form_is_shortened(client: httpx.AsyncClient, field: str) -> None:
    _check(await client.post("/v1/files", files={field: ("x" * 5000, b"no audio")}))
    _check(await client.post("/v1/files", content=b"", headers={"Content-Type": "x" * 5000}))


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/audio/speech", {"model": LONG, "voice": "alloy", "input": "Hi."}),
        ("/v1/audio/speech", {"model": "speaker", "voice": {"id": LONG}, "input": LONG}),
        ("/services/speaker/v1/text-to-speech/a", {"text": "Hi.", "output_filepath": LONG}),
        ("/services/speaker/v1/text-to-dialogue", {"inputs": [LONG], "output_filepath": "a.wav"}),
        (
            "/services/speaker/v1/text-to-speech/a",
            SEEDED,
        ),
    ],
)
async def test_long_values_are_shortened_in_every_dialect(
    client: httpx.AsyncClient, path: str, body: dict[str, Any]
) -> None:
    _check(await client.post(path, json=body))


def _check(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text[:500]
    assert len(answer.text) < SIZE, answer.text[:500]
