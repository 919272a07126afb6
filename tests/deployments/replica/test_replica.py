"""A replica's runs, from the call to the stored files, and its load, unload, status and health."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from audiograph.errors import ModelUnavailable, NotFound, NotServed, OutOfMemory
from audiograph.schemas import Artifact, Replica, ReplicaChange, SpeakRequest, SpeakResult
from deployments.audio import files as audio
from deployments.config import AppConfig
from deployments.models.base import Output, RunContext, Samples
from deployments.replica import replica as replica_module
from deployments.replica.context import PROGRESS_SECONDS
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.desired import DesiredVariants
from tests.deployments.replica.toy_models import ENGINES, OutOfMemoryError, output
from tests.deployments.replica.toy_replicas import (
    Reader,
    ToyReplica,
    call,
    error_of,
    messages_of,
    progress_of,
    result_of,
    stored,
    until,
)
from tests.support.films import Sound, film_bytes
from tests.support.sounds import peak_frequency, tone

ReplicaOf = Callable[..., ToyReplica]


async def test_a_run_ends_with_its_result_files_weights_and_times(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    last = await result_of(replica, parameters={"files": True})
    assert json.loads(json.dumps(last)) == last
    assert SpeakResult.model_validate(last["result"]).voice == "toy"
    assert (last["type"], last["weights"]) == ("result", "random")
    timings = last["timings"]
    assert timings["audio_seconds"] == 1.0
    assert min(timings["queue"], timings["load"], timings["run"]) >= 0
    speech, words = replica.store.get_many(last["artifacts"])
    assert (speech.name, speech.media_type, speech.duration) == ("speech.wav", "audio/wav", 1.0)
    assert (words.name, words.media_type, words.bytes) == ("words.txt", "text/plain", 5)
    with replica.store.local(speech.id) as path:
        samples, rate = audio.decode(path, limits=AppConfig(models={}).limits)
    assert (samples.shape, rate) == ((1, 8000), 8000)


async def test_files_know_where_they_come_from(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    fields: dict[str, Any] = {
        "tags": ["demo"],
        "creator": "me",
        "parent_id": "art_1",
        "variation_set_id": "takes",
        "speed": 1.5,
    }
    last = await result_of(replica, parameters={"files": True}, priority=2, seed=None, **fields)
    artifact = replica.store.get(last["artifacts"][0])
    assert isinstance(artifact, Artifact)
    assert (artifact.job_id, artifact.task, artifact.model, artifact.variant) == (
        "job-1",
        "speak",
        "toy",
        "small",
    )
    assert (artifact.creator, artifact.parent_id, artifact.variation_set_id) == ("me", "art_1", "takes")
    assert (artifact.tags, artifact.weights) == (["demo"], "random")
    assert artifact.parameters == {"text": "words", "speed": 1.5, "parameters": {"files": True}}


async def test_files_are_pinned_until_their_job_ends(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    await result_of(replica, parameters={"files": True})
    assert [job_id for job_id, _ in replica.store.pinned_jobs()] == ["job-1"]


async def test_progress_is_coalesced_and_the_last_one_arrives(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    began = time.monotonic()
    messages = await messages_of(replica, parameters={"steps": 300, "seconds": 0.004})
    seconds = time.monotonic() - began
    progress = progress_of(messages)
    assert len(progress) <= seconds / PROGRESS_SECONDS + 2
    assert len(progress) >= 3
    assert progress[0]["stage"] == "loading"
    assert progress[-1] == {"type": "progress", "progress": 1.0, "stage": "stepping", "eta_seconds": 0.0}
    assert [message["type"] for message in messages[-2:]] == ["progress", "result"]
    assert all((report["eta_seconds"] or 0) > 0 for report in progress[1:-1])


async def test_a_report_before_a_long_silence_is_sent_meanwhile(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    replica.model.gate.clear()
    reader = Reader(replica, parameters={"steps": 2, "hold": True})
    await until(lambda: [report["progress"] for report in progress_of(reader.messages)][-1:] == [1.0])
    replica.model.gate.set()
    await reader.task


async def test_parts_of_the_result_are_sent_in_order(replica_of: ReplicaOf) -> None:
    messages = await messages_of(replica_of(), parameters={"parts": ["a", "b"]})
    parts = [message["data"]["text"] for message in messages if message["type"] == "partial"]
    assert parts == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("refused", "invalid_request"),
        ("unexpected", "internal_error"),
        ("memory", "out_of_memory"),
        ("exit", "internal_error"),
        ("stop", "internal_error"),
    ],
)
async def test_every_failure_arrives_as_a_message(replica_of: ReplicaOf, error: str, code: str) -> None:
    replica = replica_of()
    wire_error = await error_of(replica, parameters={"error": error})
    assert wire_error["code"] == code
    assert "secret" not in wire_error["message"]
    assert await result_of(replica)


async def test_the_log_has_the_details_that_the_caller_does_not_get(
    replica_of: ReplicaOf, caplog: pytest.LogCaptureFixture
) -> None:
    await error_of(replica_of(), parameters={"error": "unexpected"}, job_id="job-7")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.__dict__["audio_job_id"] == "job-7"
    assert "a secret path" in caplog.text


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"speed": 99}, "invalid_request", "speed"),
        ({"loudness": 1}, "invalid_request", "loudness"),
        ({"variant": "huge"}, "not_served", "variant"),
    ],
)
async def test_a_request_that_is_wrong_is_refused_with_its_field(
    replica_of: ReplicaOf, fields: dict[str, Any], code: str, field: str
) -> None:
    (last,) = await messages_of(replica_of(), **fields)
    assert last["type"] == "failure"
    assert (last["error"]["code"], last["error"]["field"]) == (code, field)


async def test_a_task_that_the_model_does_not_serve_is_refused(replica_of: ReplicaOf) -> None:
    wrong = call()
    wrong["request"] = {"task": "describe", "file": "file_1", "variant": "small"}
    (last,) = [message async for message in replica_of().run(wrong)]
    assert last["type"] == "failure"
    assert (last["error"]["code"], last["error"]["field"]) == ("not_served", "task")


async def test_out_of_memory_names_the_need(replica_of: ReplicaOf) -> None:
    error = await error_of(replica_of(), parameters={"error": "memory"})
    assert error["details"]["needed_bytes"] > 3 * 2**30


async def test_a_load_that_does_not_fit_arrives_as_out_of_memory(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    replica.model.load_error = OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    error = await error_of(replica)
    assert error["code"] == "out_of_memory"
    assert error["details"]["needed_bytes"] >= 20 * 2**30


async def test_files_stored_before_one_that_fails_are_deleted(
    replica_of: ReplicaOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> NoReturn:
        raise OSError("the disk is full")

    replica = replica_of()
    monkeypatch.setattr(ArtifactStore, "put_artifact", broken)  # the second file; the first is audio
    error = await error_of(replica, parameters={"files": True})
    assert error["code"] == "internal_error"
    assert stored(replica) == []


async def test_load_status_and_unload_report_their_changes(replica_of: ReplicaOf) -> None:
    replica = replica_of("Weighty", memory_bytes=10**9)
    change = ReplicaChange.model_validate(await replica.load("small"))
    assert (change.changed, change.variants) == (True, ["small"])
    assert change.bytes > 60 * 2**20
    again = ReplicaChange.model_validate(await replica.load("small"))
    assert (again.changed, again.bytes, again.message) == (False, 0, "small was loaded already")
    status = Replica.model_validate(await replica.status())
    assert status.id == change.replica
    assert (status.device, status.memory_limit_bytes, status.ongoing) == ("cpu", 10**9, 0)
    assert [loaded.variant for loaded in status.loaded] == ["small"]
    gone = ReplicaChange.model_validate(await replica.unload(None))
    assert (gone.changed, gone.variants) == (True, ["small"])
    assert gone.bytes > 60 * 2**20
    assert Replica.model_validate(await replica.status()).loaded == []
    assert (await replica.unload("small"))["message"] == "small was not loaded"
    assert not list(ENGINES)


async def test_unload_after_a_run_really_frees_the_engine(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    await result_of(replica, parameters={"files": True})
    await error_of(replica, parameters={"error": "refused"})
    await replica.unload("small")
    assert not list(ENGINES)


@pytest.mark.parametrize("method", ["load", "unload"])
async def test_an_unknown_variant_is_refused_with_the_known_ones(replica_of: ReplicaOf, method: str) -> None:
    with pytest.raises(NotServed, match="small, medium, large"):
        await getattr(replica_of(), method)("huge")


async def test_a_new_replica_loads_the_desired_variants(replica_of: ReplicaOf) -> None:
    replica = replica_of(preload=["small", "medium"])
    stored_desired = DesiredVariants(replica.store.database)
    for variant, desired in [("medium", False), ("large", True), ("gone", True)]:
        stored_desired.set("toy", variant, desired)
    await replica.check_health()
    assert replica._preload is not None
    await replica._preload
    assert sorted(replica.model.loads) == ["large", "small"]
    await replica.check_health()
    assert len(replica.model.loads) == 2


async def test_a_preload_that_fails_leaves_the_replica_serving(
    replica_of: ReplicaOf, caplog: pytest.LogCaptureFixture
) -> None:
    replica = replica_of(preload=["small"])
    replica.model.load_error = ModelUnavailable("no disk")
    await replica.check_health()
    assert replica._preload is not None
    await replica._preload
    assert "cannot load toy small ahead of its use" in caplog.text
    replica.model.load_error = None
    assert await result_of(replica)


async def test_the_health_check_tests_idle_engines(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    await replica.load("small")
    await replica.check_health()
    assert replica.model.checks == 1
    replica.model.check_error = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        await replica.check_health()
    replica.model.check_error = None
    await replica.check_health()


async def test_a_long_run_does_not_fail_the_health_check(
    replica_of: ReplicaOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "HEALTH_SECONDS", 0.05)
    replica = replica_of("Stubborn")
    replica.model.gate.clear()
    reader = Reader(replica)
    await until(replica.model.started.is_set)
    await replica.check_health()
    assert replica.model.checks == 0
    replica.model.gate.set()
    await reader.task


async def test_an_engine_whose_test_does_not_end_fails_the_health_check(
    replica_of: ReplicaOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replica_module, "HEALTH_SECONDS", 0.05)
    replica = replica_of()
    await replica.load("small")
    replica.model.gate.clear()
    replica.model.check_engine = lambda engine: replica.model.gate.wait(30)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="did not answer its health test"):
            await replica.check_health()
    replica.model.gate.set()
    assert replica._check is not None
    await replica._check
    await replica.check_health()


async def test_requests_of_a_batching_model_share_a_run(replica_of: ReplicaOf) -> None:
    replica = replica_of("Choir", max_batch_size=3)
    runs = [result_of(replica, text, job_id=text, parameters={"files": True}) for text in "abc"]
    results = await asyncio.gather(*runs)
    assert replica.model.batches_run == [["a", "b", "c"]]
    for text, last in zip("abc", results, strict=True):
        with replica.store.local(last["artifacts"][1]) as path:
            assert path.read_text() == text


async def test_a_run_can_decode_stored_audio(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    last = await result_of(replica, parameters={"files": True})
    decoded: list[tuple[Samples, int]] = []

    def work(request: SpeakRequest, context: RunContext) -> Output:
        decoded.append(context.audio(last["artifacts"][0], sample_rate=16000, mono=True))
        context.audio("file_" + "0" * 32)
        raise AssertionError("the file does not exist")

    replica.model.work = work
    (missing,) = await messages_of(replica)
    assert missing["type"] == "failure"
    assert missing["error"]["code"] == NotFound.code
    ((samples, rate),) = decoded
    assert (samples.shape, rate) == ((16000,), 16000)


def decoded(context: RunContext, item_id: str) -> None:
    context.audio(item_id)


def streamed(context: RunContext, item_id: str) -> None:
    with context.stream(item_id):
        pass


def offset(context: RunContext, item_id: str) -> None:
    context.offset(item_id)


def cloned(context: RunContext, item_id: str) -> None:
    context.voice(item_id, sample_rate=16_000)


@pytest.mark.parametrize("read", [decoded, streamed, offset, cloned])
async def test_a_file_that_is_gone_is_named_by_the_field_of_the_request(
    replica_of: ReplicaOf, read: Callable[[RunContext, str], None]
) -> None:
    replica, gone = replica_of(), "file_" + "0" * 32
    replica.model.work = lambda request, context: read(context, request.voice)
    error = await error_of(replica, voice=gone)
    assert (error["code"], error["field"]) == (NotFound.code, "voice")


async def test_outcomes_and_times_are_counted(replica_of: ReplicaOf, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[str, str, str]] = []
    ran: list[tuple[str, str, object, float]] = []
    replica = replica_of()
    monkeypatch.setattr(replica._metrics, "ended", lambda *tags: ended.append(tags))
    monkeypatch.setattr(replica._metrics, "ran", lambda *values: ran.append(values))
    await result_of(replica)
    await error_of(replica, parameters={"error": "refused"})
    replica.model.gate.clear()
    replica.model.started.clear()
    reader = Reader(replica, parameters={"hold": True})
    await until(replica.model.started.is_set)
    await reader.cut_off()
    assert ended == [("small", "speak", end) for end in ("succeeded", "invalid_request", "canceled")]
    assert [(variant, task, seconds) for variant, task, _, seconds in ran] == [("small", "speak", 1.0)]


async def test_a_variant_that_never_fits_is_refused(replica_of: ReplicaOf) -> None:
    with pytest.raises(OutOfMemory, match="memory_bytes"):
        await replica_of("Weighty", memory_bytes=2**20).load("small")


async def test_notes_on_a_file_reach_the_results_of_its_jobs(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    tracks = [Sound(tone(hz, sample_rate=48_000)) for hz in (300, 600)]
    with replica.store.writer() as writer:
        writer.write(film_bytes("matroska", tracks))
        info = audio.probe(writer.path, AppConfig(models={}).limits, 2)
        file = writer.commit_file("film.mkv", info.media_type, info)
    heard: list[float] = []

    def work(request: SpeakRequest, context: RunContext) -> Output:
        samples, rate = context.audio(file.id)
        context.audio(file.id, mono=True)
        heard.append(peak_frequency(samples[0], rate))
        return output(request)

    replica.model.work = work
    last = await result_of(replica)
    assert heard == pytest.approx([600], abs=1)
    assert last["result"]["notes"] == file.notes
    assert len(file.notes) == 1
