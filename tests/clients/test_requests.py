"""Requests: their bodies, retries and errors."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, get_type_hints

import httpx
import pytest

from audiograph import AsyncAudiograph, Audiograph, _options, errors, schemas
from audiograph._retry import backoff
from audiograph.errors import (
    ConnectionFailed,
    InternalError,
    InvalidRequest,
    NotFound,
    QueueFull,
    Unauthenticated,
    UnexpectedResponse,
    WeightsMissing,
)
from audiograph.schemas import SpeakRequest, TranscribeRequest, Turn
from tests.clients.fake_server import FILE_ID, FakeServer, Reply


def _keys(server: FakeServer) -> list[str]:
    return [seen.headers["idempotency-key"] for seen in server.requests("POST", "/v1/jobs")]


def test_a_retry_waits_for_the_servers_retry_after(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    server.fail(429, "queue_full", Retry_After="7")
    job = client.jobs.submit("speak", text="hello")
    assert job.status == "queued"
    assert pauses == [7.0]


def test_a_date_in_retry_after_is_understood(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    later = datetime.now(UTC) + timedelta(seconds=50)
    server.fail(503, "model_unavailable", Retry_After=format_datetime(later, usegmt=True))
    client.health()
    assert 10 < pauses[0] <= 50


def test_a_retry_after_of_an_hour_is_not_waited_for(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    server.fail(429, "queue_full", Retry_After="3600")
    with pytest.raises(QueueFull) as raised:
        client.jobs.submit("speak", text="hello")
    assert raised.value.retry_after == 3600
    assert pauses == []


@pytest.mark.parametrize("reply", [Reply(502), Reply(503, b"<html>"), Reply(504), Reply(None)])
def test_a_submission_is_repeated_with_one_key(
    client: Audiograph, server: FakeServer, pauses: list[float], reply: Reply
) -> None:
    server.replies.extend([reply, reply])
    client.jobs.submit("speak", text="hello")
    assert len(_keys(server)) == 3
    assert len(set(_keys(server))) == 1
    assert len(server.jobs) == 1


async def test_a_submission_is_repeated_with_one_key_async(
    async_client: AsyncAudiograph, server: FakeServer, pauses: list[float]
) -> None:
    server.replies.extend([Reply(503), Reply(None)])
    await async_client.jobs.submit("speak", text="hello")
    assert len(_keys(server)) == 3
    assert len(set(_keys(server))) == 1


def test_each_submission_has_its_own_key_unless_one_is_given(client: Audiograph, server: FakeServer) -> None:
    first, second = (client.jobs.submit("speak", text="hello") for _ in range(2))
    third, fourth = (client.jobs.submit("speak", text="hello", idempotency_key="mine") for _ in range(2))
    assert first.id != second.id
    assert third.id == fourth.id


def test_retries_end(server: FakeServer, pauses: list[float]) -> None:
    server.replies.extend([Reply(503, b"busy")] * 9)
    with Audiograph(server.url, retries=2) as client, pytest.raises(UnexpectedResponse, match="503"):
        client.health()
    assert len(server.seen) == 3
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "unauthenticated", Unauthenticated),
        (404, "not_found", NotFound),
        (422, "invalid_request", InvalidRequest),
        (500, "internal_error", InternalError),
        (503, "weights_missing", WeightsMissing),
    ],
)
def test_permanent_errors_are_raised_at_once(
    server: FakeServer, pauses: list[float], status: int, code: str, kind: type[errors.AudiographError]
) -> None:
    server.fail(status, code)
    with Audiograph(server.url) as client, pytest.raises(kind, match=f"failing with {code}") as raised:
        client.models.load("fake")
    assert raised.value.field == "x"
    assert raised.value.status == status
    assert pauses == []


def test_every_error_of_the_tree_comes_back_as_itself() -> None:
    def classes(cls: type[errors.AudiographError]) -> Iterator[type[errors.AudiographError]]:
        yield cls
        for child in cls.__subclasses__():
            yield from classes(child)

    sent = {cls for root in (errors.RequestError, errors.ServerError) for cls in classes(root)}
    abstract = {errors.ServerError}
    for cls in sent - abstract:
        wire = cls("why", field="file", details={"a": 1}).to_wire()
        assert type(errors.error_from_wire(wire)) is cls


@pytest.mark.parametrize(
    ("response", "hint"),
    [
        (
            httpx.Response(200, text="<html>hello</html>", headers={"content-type": "text/html"}),
            "not a Health",
        ),
        (httpx.Response(404, text="Path '/health' not found"), "finished starting"),
        (httpx.Response(500, json={"detail": "oops"}), "Is it an Audiograph server"),
        (httpx.Response(400, json=["error"]), "Is it an Audiograph server"),
        (httpx.Response(301, headers={"location": "https://there"}), "points to https://there"),
    ],
)
def test_another_server_is_recognized(response: httpx.Response, hint: str) -> None:
    transport = httpx.MockTransport(lambda _: response)
    with Audiograph(transport=transport) as client, pytest.raises(UnexpectedResponse, match=hint):
        client.health()


def test_no_server_names_the_url_and_the_remedy(pauses: list[float]) -> None:
    with FakeServer() as gone:
        url = gone.url
    with Audiograph(url, retries=1) as client, pytest.raises(ConnectionFailed) as raised:
        client.health()
    assert url in str(raised.value)
    assert "make serve" in str(raised.value)
    assert "2 tries" in str(raised.value)
    assert len(pauses) == 1


def test_pauses_double_up_to_ten_seconds() -> None:
    for failures, longest in ((1, 0.5), (2, 1.0), (3, 2.0), (6, 10.0), (50, 10.0)):
        assert longest / 2 <= backoff(failures) <= longest
    assert backoff(1, retry_after=30) == 30


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "", "http://[::1"])
def test_a_wrong_url_is_refused(url: str) -> None:
    if url == "":
        assert Audiograph(url).base_url == "http://127.0.0.1:8000"
        return
    with pytest.raises(InvalidRequest) as raised:
        Audiograph(url)
    assert raised.value.field == "base_url"


def test_the_environment_names_server_and_key(monkeypatch: pytest.MonkeyPatch, server: FakeServer) -> None:
    monkeypatch.setenv("AUDIOGRAPH_URL", server.url + "/")
    monkeypatch.setenv("AUDIOGRAPH_API_KEY", "sk-1\n")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # useless for a server on this machine
    with Audiograph() as client:
        client.health()
    assert server.seen[0].headers["authorization"] == "Bearer sk-1"
    assert server.seen[0].headers["user-agent"].startswith("audiograph/")


def test_a_key_is_sent_only_if_there_is_one(client: Audiograph, server: FakeServer) -> None:
    client.health()
    assert "authorization" not in server.seen[0].headers


def test_only_what_was_set_is_sent(client: Audiograph, server: FakeServer) -> None:
    client.jobs.submit(SpeakRequest(text="hello", speed=1.0, tags=["a"]))
    body = server.requests("POST", "/v1/jobs")[0].body
    assert json.loads(body) == {"task": "speak", "text": "hello", "tags": ["a"]}


def test_the_server_can_be_asked_to_delay_the_response(client: Audiograph, server: FakeServer) -> None:
    client.jobs.submit("speak", text="hello", wait=2.5)
    assert server.requests("POST", "/v1/jobs")[0].headers["prefer"] == "wait=3"


@pytest.mark.parametrize(
    ("task", "fields", "field"),
    [
        ("speak", {"text": "hello", "speed": 9}, "speed"),
        ("speak", {"text": "hello", "volume": 9}, "volume"),
        ("speak", {}, "text"),
        ("sing", {"text": "hello"}, "task"),
        ("dialogue", {"turns": [{"text": "a"}, {"text": ""}]}, "turns.1.text"),
    ],
)
def test_an_invalid_field_is_reported_before_anything_is_sent(
    client: Audiograph, server: FakeServer, task: Any, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        client.jobs.submit(task, **fields)
    assert raised.value.field == field
    assert field in str(raised.value)
    assert server.seen == []


def test_an_invalid_field_is_reported_before_the_upload(client: Audiograph, server: FakeServer) -> None:
    with pytest.raises(InvalidRequest):
        client.transcribe(b"RIFF", temperature=7)
    assert server.seen == []


Call = Callable[[Audiograph], schemas.Job]


@pytest.mark.parametrize(
    ("call", "sent"),
    [
        (
            lambda c: c.transcribe(b"x", language="en"),
            {"task": "transcribe", "file": FILE_ID, "language": "en"},
        ),
        (lambda c: c.analyze_pitch(FILE_ID), {"task": "analyze_pitch", "file": FILE_ID}),
        (lambda c: c.speak("hi", voice="en"), {"task": "speak", "text": "hi", "voice": "en"}),
    ],
)
def test_tasks_are_waited_for(client: Audiograph, server: FakeServer, call: Call, sent: Any) -> None:
    job = call(client)
    assert job.status == "succeeded"
    assert json.loads(server.requests("POST", "/v1/jobs")[0].body) == sent


@pytest.mark.parametrize(
    ("call", "sent"),
    [
        (
            lambda c: c.separate(b"x", shifts=2, wait=False),
            {"task": "separate", "file": FILE_ID, "shifts": 2},
        ),
        (
            lambda c: c.describe(b"x", instruction="?", wait=False),
            {"task": "describe", "file": FILE_ID, "instruction": "?"},
        ),
        (
            lambda c: c.dialogue([("ann", "hi"), Turn(text="ho")], wait=False),
            {"task": "dialogue", "turns": [{"voice": "ann", "text": "hi"}, {"text": "ho"}]},
        ),
        (
            lambda c: c.generate_music("calm", duration=4, wait=False),
            {"task": "generate_music", "prompt": "calm", "duration": 4},
        ),
        (
            lambda c: c.generate_music("calm", file=b"x", wait=False),
            {"task": "generate_music", "prompt": "calm", "file": FILE_ID},
        ),
    ],
)
def test_tasks_are_submitted(client: Audiograph, server: FakeServer, call: Call, sent: Any) -> None:
    assert call(client).status == "queued"
    assert json.loads(server.requests("POST", "/v1/jobs")[0].body) == sent


async def test_tasks_are_waited_for_async(async_client: AsyncAudiograph) -> None:
    seen: list[str] = []
    job = await async_client.transcribe(b"x", on_progress=lambda event: seen.append(event.type), timeout=60)
    assert isinstance(job.result, schemas.TranscribeResult)
    assert seen[-1] == "succeeded"


@pytest.mark.parametrize(
    ("options", "request_class", "positional"),
    [
        (_options.TranscribeOptions, TranscribeRequest, {"file"}),
        (_options.SeparateOptions, schemas.SeparateRequest, {"file"}),
        (_options.GenerateMusicOptions, schemas.GenerateMusicRequest, {"prompt", "file"}),
        (_options.SpeakOptions, SpeakRequest, {"text"}),
        (_options.DialogueOptions, schemas.DialogueRequest, {"turns"}),
        (_options.AnalyzePitchOptions, schemas.AnalyzePitchRequest, {"file"}),
        (_options.DescribeOptions, schemas.DescribeRequest, {"file"}),
    ],
)
def test_keyword_arguments_are_the_fields_of_the_request(
    options: Any, request_class: type[schemas.Request], positional: set[str]
) -> None:
    taken = set(get_type_hints(options)) - set(get_type_hints(_options.RunOptions))
    assert taken == set(request_class.model_fields) - positional - {"task"}


def test_lists_go_on_page_after_page(client: Audiograph, server: FakeServer) -> None:
    ids = [client.jobs.submit("speak", text="hello").id for _ in range(5)]
    assert [job.id for job in client.jobs.list()] == ids
    assert [job.id for job in client.jobs.list(limit=3, status="queued")] == ids[:3]
    last = server.requests("GET", "/v1/jobs")[-1]
    assert last.query == {"status": ["queued"], "limit": ["1"], "cursor": ["2"]}


async def test_lists_go_on_page_after_page_async(async_client: AsyncAudiograph) -> None:
    ids = [(await async_client.jobs.submit("speak", text="hello")).id for _ in range(3)]
    assert [job.id async for job in async_client.jobs.list()] == ids


def test_pages_are_requested_only_when_they_are_read(client: Audiograph, server: FakeServer) -> None:
    for _ in range(5):
        client.jobs.submit("speak", text="hello")
    next(iter(client.jobs.list()))
    assert len(server.requests("GET", "/v1/jobs")) == 1


def test_jobs_and_models(client: Audiograph, server: FakeServer) -> None:
    job = client.jobs.submit("speak", text="hello")
    assert client.jobs.get(job.id) == client.jobs.get(job)
    assert client.jobs.cancel(job).status == "canceled"
    assert client.models.load("fake", "large").bytes == 5
    assert client.models.unload("fake").variant is None
    assert client.models.list() == []
    assert client.health().version == "9.9"


def test_an_unready_server_raises_nothing(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    assert client.ready().ready
    server.ready = False
    assert not client.ready().ready
    assert pauses == []


def test_an_id_that_cannot_be_is_refused_before_anything_is_sent(
    client: Audiograph, server: FakeServer
) -> None:
    for job_id in ("../files?x#y", "", "a" * 65):
        with pytest.raises(InvalidRequest, match="an id is 1 to 64 letters"):
            client.jobs.get(job_id)
    assert server.seen == []


LONG = "x" * 100_000


@pytest.mark.parametrize("identity", ["", ".", "..", "a\nb", "\ud800", LONG, None, 5])
@pytest.mark.parametrize(
    "call",
    [
        lambda c, i: c.jobs.get(i),
        lambda c, i: c.jobs.cancel(i),
        lambda c, i: c.jobs.wait(i),
        lambda c, i: list(c.jobs.events(i)),
        lambda c, i: c.jobs.save_all(i, "."),
        lambda c, i: c.jobs.save_zip(i, "."),
        lambda c, i: c.files.get(i),
        lambda c, i: c.files.delete(i),
        lambda c, i: c.files.download(i),
        lambda c, i: c.artifacts.get(i),
        lambda c, i: c.artifacts.download(i),
        lambda c, i: c.models.get(i),
        lambda c, i: c.models.load(i),
        lambda c, i: c.models.unload(i),
        lambda c, i: c.voices.get(i),
        lambda c, i: c.voices.delete(i),
    ],
)
def test_every_method_refuses_an_id_that_nothing_can_have(
    client: Audiograph, server: FakeServer, call: Callable[[Audiograph, Any], Any], identity: Any
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        call(client, identity)
    assert raised.value.field in ("job", "file", "artifact", "model", "voice")
    assert len(str(raised.value)) < 300
    assert server.seen == []


def test_a_voice_of_a_folder_stays_in_its_place(client: Audiograph, server: FakeServer) -> None:
    with pytest.raises(NotFound):
        client.voices.get("../files?x#y")
    assert server.seen[0].path == "/v1/voices/..%2Ffiles%3Fx%23y"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda c: c.transcribe(b"x", timeout=-1), "timeout"),
        (lambda c: c.transcribe(b"x", timeout=float("nan")), "timeout"),
        (lambda c: c.transcribe(b"x", idempotency_key="a b"), "idempotency_key"),
        (lambda c: c.transcribe(b"x", variant=""), "variant"),
        (lambda c: c.transcribe(b""), "file"),
        (lambda c: c.transcribe(None), "file"),
        (lambda c: c.separate(b"x", segment=float("nan")), "segment"),
        (lambda c: c.speak("hi", parameters={"a": float("nan")}), "parameters"),
        (lambda c: c.speak("hi", parameters={"a": object()}), "parameters"),
        (lambda c: c.speak(LONG), "text"),
        (lambda c: c.dialogue([("ann",)]), "turns.0"),
        (lambda c: c.dialogue([5]), "turns.0"),
        (lambda c: c.dialogue([("ann", "")]), "turns.0.text"),
        (lambda c: c.jobs.submit("pipeline", pipeline=""), "pipeline"),
        (lambda c: c.jobs.submit("speak", text="hi", wait=-1), "wait"),
        (lambda c: c.jobs.submit("speak", text="hi", wait=float("inf")), "wait"),
        (lambda c: c.jobs.submit("speak", text="hi", idempotency_key="é"), "idempotency_key"),
        (lambda c: c.jobs.submit(5), "task"),
        (lambda c: list(c.jobs.list(status="lost")), "status"),
        (lambda c: list(c.jobs.list(task="sing")), "task"),
        (lambda c: list(c.jobs.list(limit=-1)), "limit"),
        (lambda c: c.jobs.events("a", after="a\nb"), "after"),
        (lambda c: c.jobs.wait("a", timeout=float("nan")), "timeout"),
        (lambda c: list(c.artifacts.search(tag="")), "tag"),
        (lambda c: list(c.artifacts.search(creator=LONG)), "creator"),
        (lambda c: list(c.artifacts.search(parent_id="a/b")), "parent_id"),
        (lambda c: list(c.artifacts.search(limit=float("nan"))), "limit"),
        (lambda c: c.models.load("fake", ""), "variant"),
        (lambda c: c.voices.create("x/y", b"x"), "name"),
        (lambda c: c.voices.create("x", b"x", transcript=""), "transcript"),
        (lambda c: c.voices.create("x", b""), "file"),
        (lambda c: c.files.upload(b""), "file"),
        (lambda c: c.files.upload(b"x", name="\ud800"), "name"),
        (lambda c: c.files.upload(b"x", name=5), "name"),
        *[(lambda c, t=track: c.files.upload(b"x", track=t), "track") for track in (0, -1, 1.5, "2", True)],
    ],
)
def test_a_bad_argument_is_refused_before_anything_is_sent(
    client: Audiograph, server: FakeServer, call: Callable[[Any], Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        call(client)
    assert raised.value.field == field
    assert field in str(raised.value)
    assert len(str(raised.value)) < 400
    assert server.seen == []


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.transcribe(b"x", on_progress=5),
        lambda c: c.jobs.wait("a", on_progress=5),
        lambda c: c.transcribe(5),
        lambda c: c.files.upload(5),
    ],
)
def test_an_argument_of_another_type_is_refused_before_anything_is_sent(
    client: Audiograph, server: FakeServer, call: Callable[[Any], Any]
) -> None:
    with pytest.raises(TypeError, match="must be"):
        call(client)
    assert server.seen == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"retries": -1}, "retries"),
        ({"reconnects": 1.5}, "reconnects"),
        ({"api_key": "ключ"}, "api_key"),
        ({"api_key": "a\nb"}, "api_key"),
        ({"base_url": "http://host?x=1"}, "base_url"),
        ({"base_url": "http://host:99999"}, "base_url"),
        ({"base_url": f"http://{'a' * 64}.example"}, "base_url"),
        ({"base_url": "http://a..b"}, "base_url"),
        ({"base_url": f"http://{LONG}"}, "base_url"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        Audiograph(**settings)
    assert raised.value.field == field
    assert len(str(raised.value)) < 400


def test_another_servers_success_does_not_delete_anything(client: Audiograph, server: FakeServer) -> None:
    for delete in (client.files.delete, client.voices.delete):
        server.replies.append(Reply(200, b"<html>", {"Content-Type": "text/html"}))
        with pytest.raises(UnexpectedResponse, match="deletion"):
            delete("file_1")


def test_a_retry_after_that_is_no_number_is_ignored(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    server.fail(503, "model_unavailable", Retry_After="nan")
    client.health()
    assert 0 < pauses[0] < 1
