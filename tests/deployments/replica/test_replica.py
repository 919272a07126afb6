import asyncio
import json
import logging
import time

import pytest

from audiograph.errors import ModelUnavailable, NotFound, NotServed, OutOfMemory
from audiograph.schemas import Replica, ReplicaChange, SpeakResult
from deployments.audio import files as audio
from deployments.config import AppConfig
from deployments.replica import replica as replica_module
from deployments.replica.context import PROGRESS_SECONDS
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.desired import DesiredVariants
from tests.deployments.replica.toy_models import ENGINES, OutOfMemoryError
from tests.deployments.replica.toy_replicas import Reader, call, events_of, stored, until


async def test_a_run_ends_with_its_result_files_weights_and_times(replica_of):
    replica = replica_of()
    *_, last = await events_of(replica, parameters={"files": True})
    assert json.loads(json.dumps(last)) == last
    assert SpeakResult.model_validate(last["result"]).voice == "toy"
    assert (last["type"], last["weights"]) == ("result", "random")
    assert last["timings"]["audio_seconds"] == 1.0
    assert all(last["timings"][part] >= 0 for part in ("queue", "load", "run"))
    speech, words = replica._store.get_many(last["artifacts"])
    assert (speech.name, speech.media_type, speech.duration) == ("speech.wav", "audio/wav", 1.0)
    assert (words.name, words.media_type, words.bytes) == ("words.txt", "text/plain", 5)
    with replica._store.local(speech.id) as path:
        samples, rate = audio.decode(path, limits=AppConfig(models={}).limits)
    assert (samples.shape, rate) == ((1, 8000), 8000)


async def test_files_know_where_they_come_from(replica_of):
    replica = replica_of()
    fields = {
        "tags": ["demo"],
        "creator": "me",
        "parent_id": "art_1",
        "variation_set_id": "takes",
        "speed": 1.5,
    }
    *_, last = await events_of(replica, parameters={"files": True}, priority=2, seed=None, **fields)
    artifact = replica._store.get(last["artifacts"][0])
    assert (artifact.job_id, artifact.task, artifact.model, artifact.variant) == (
        "job-1",
        "speak",
        "toy",
        "small",
    )
    assert (artifact.creator, artifact.parent_id, artifact.variation_set_id) == ("me", "art_1", "takes")
    assert (artifact.tags, artifact.weights) == (["demo"], "random")
    assert artifact.parameters == {"text": "words", "speed": 1.5, "parameters": {"files": True}}


async def test_files_are_pinned_until_their_job_ends(replica_of):
    replica = replica_of()
    await events_of(replica, parameters={"files": True})
    assert [job_id for job_id, _ in replica._store.pinned_jobs()] == ["job-1"]


async def test_progress_is_coalesced_and_the_last_one_arrives(replica_of):
    replica = replica_of()
    began = time.monotonic()
    events = await events_of(replica, parameters={"steps": 300, "seconds": 0.004})
    seconds = time.monotonic() - began
    progress = [event for event in events if event["type"] == "progress"]
    assert len(progress) <= seconds / PROGRESS_SECONDS + 2
    assert len(progress) >= 3
    assert progress[0]["stage"] == "loading"
    assert progress[-1] == {"type": "progress", "progress": 1.0, "stage": "stepping", "eta_seconds": 0.0}
    assert [event["type"] for event in events[-2:]] == ["progress", "result"]
    assert all(event["eta_seconds"] > 0 for event in progress[1:-1])


async def test_a_report_before_a_long_silence_is_sent_meanwhile(replica_of):
    replica = replica_of()
    replica._model.gate.clear()
    reader = Reader(replica, parameters={"steps": 2, "hold": True})
    await until(lambda: reader.events and reader.events[-1]["progress"] == 1.0)
    replica._model.gate.set()
    await reader.task


async def test_parts_of_the_result_are_sent_in_order(replica_of):
    events = await events_of(replica_of(), parameters={"parts": ["a", "b"]})
    assert [event["data"]["text"] for event in events if event["type"] == "partial"] == ["a", "b"]


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
async def test_every_failure_arrives_as_an_event(replica_of, error, code):
    replica = replica_of()
    *_, last = await events_of(replica, parameters={"error": error})
    assert (last["type"], last["error"]["code"]) == ("error", code)
    assert "secret" not in last["error"]["message"]
    assert (await events_of(replica))[-1]["type"] == "result"


async def test_the_log_has_what_the_caller_is_not_told(replica_of, caplog):
    await events_of(replica_of(), parameters={"error": "unexpected"}, job_id="job-7")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.audio_job_id == "job-7"
    assert "a secret path" in caplog.text


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"speed": 99}, "invalid_request", "speed"),
        ({"loudness": 1}, "invalid_request", "loudness"),
        ({"variant": "huge"}, "not_served", "variant"),
    ],
)
async def test_a_request_that_is_wrong_is_refused_with_its_field(replica_of, fields, code, field):
    (last,) = await events_of(replica_of(), **fields)
    assert (last["error"]["code"], last["error"]["field"]) == (code, field)


async def test_a_task_that_the_model_does_not_serve_is_refused(replica_of):
    wrong = call()
    wrong |= {"task": "describe", "request": {"file": "file_1", "variant": "small"}}
    (last,) = [event async for event in replica_of().run(wrong)]
    assert (last["error"]["code"], last["error"]["field"]) == ("not_served", "task")


async def test_out_of_memory_names_the_need(replica_of):
    *_, last = await events_of(replica_of(), parameters={"error": "memory"})
    assert last["error"]["details"]["needed_bytes"] > 3 * 2**30


async def test_a_load_that_does_not_fit_arrives_as_out_of_memory(replica_of):
    replica = replica_of()
    replica._model.load_error = OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
    *_, last = await events_of(replica)
    assert last["error"]["code"] == "out_of_memory"
    assert last["error"]["details"]["needed_bytes"] >= 20 * 2**30


async def test_files_stored_before_one_that_fails_are_deleted(replica_of, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("the disk is full")

    replica = replica_of()
    monkeypatch.setattr(ArtifactStore, "put_artifact", broken)  # the second file; the first is audio
    *_, last = await events_of(replica, parameters={"files": True})
    assert last["error"]["code"] == "internal_error"
    assert stored(replica) == []


async def test_load_status_and_unload_tell_what_they_did(replica_of):
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


async def test_unload_after_a_run_really_frees_the_engine(replica_of):
    replica = replica_of()
    await events_of(replica, parameters={"files": True})
    await events_of(replica, parameters={"error": "refused"})
    await replica.unload("small")
    assert not list(ENGINES)


@pytest.mark.parametrize("method", ["load", "unload"])
async def test_an_unknown_variant_is_refused_with_those_there_are(replica_of, method):
    with pytest.raises(NotServed, match="small, medium, large"):
        await getattr(replica_of(), method)("huge")


async def test_a_new_replica_loads_what_is_wanted(replica_of):
    replica = replica_of(preload=["small", "medium"])
    wishes = DesiredVariants(replica._store.database)
    for variant, wanted in [("medium", False), ("large", True), ("gone", True)]:
        wishes.set("toy", variant, wanted)
    await replica.check_health()
    await replica._preload
    assert sorted(replica._model.loads) == ["large", "small"]
    await replica.check_health()
    assert len(replica._model.loads) == 2


async def test_a_preload_that_fails_leaves_the_replica_serving(replica_of, caplog):
    replica = replica_of(preload=["small"])
    replica._model.load_error = ModelUnavailable("no disk")
    await replica.check_health()
    await replica._preload
    assert "toy small is wanted, but could not be loaded" in caplog.text
    replica._model.load_error = None
    assert (await events_of(replica))[-1]["type"] == "result"


async def test_the_health_check_tests_idle_engines(replica_of):
    replica = replica_of()
    await replica.load("small")
    await replica.check_health()
    assert replica._model.checks == 1
    replica._model.check_error = RuntimeError("broken")
    with pytest.raises(RuntimeError, match="broken"):
        await replica.check_health()
    replica._model.check_error = None
    await replica.check_health()


async def test_a_long_run_does_not_fail_the_health_check(replica_of, monkeypatch):
    monkeypatch.setattr(replica_module, "HEALTH_SECONDS", 0.05)
    replica = replica_of("Stubborn")
    replica._model.gate.clear()
    reader = Reader(replica)
    await until(replica._model.started.is_set)
    await replica.check_health()
    assert replica._model.checks == 0
    replica._model.gate.set()
    await reader.task


async def test_an_engine_whose_test_does_not_end_fails_the_health_check(replica_of, monkeypatch):
    monkeypatch.setattr(replica_module, "HEALTH_SECONDS", 0.05)
    replica = replica_of()
    await replica.load("small")
    replica._model.gate.clear()
    replica._model.check_engine = lambda engine: replica._model.gate.wait(30)
    for _ in range(2):
        with pytest.raises(ModelUnavailable, match="did not answer its health test"):
            await replica.check_health()
    replica._model.gate.set()
    await replica._check
    await replica.check_health()


async def test_requests_of_a_batching_model_share_a_run(replica_of):
    replica = replica_of("Choir", max_batch_size=3)
    runs = [events_of(replica, text, job_id=text, parameters={"files": True}) for text in "abc"]
    lasts = [events[-1] for events in await asyncio.gather(*runs)]
    assert replica._model.batches_run == [["a", "b", "c"]]
    for text, last in zip("abc", lasts, strict=True):
        with replica._store.local(last["artifacts"][1]) as path:
            assert path.read_text() == text


async def test_a_run_can_hear_stored_audio(replica_of, tmp_path):
    replica = replica_of()
    *_, last = await events_of(replica, parameters={"files": True})
    heard = []

    def listen(request, context):
        heard.append(context.audio(last["artifacts"][0], sample_rate=16000, mono=True))
        context.audio("file_" + "0" * 32)

    replica._model.work = listen
    (missing,) = await events_of(replica)
    assert missing["error"]["code"] == NotFound.code
    ((samples, rate),) = heard
    assert (samples.shape, rate) == ((16000,), 16000)


async def test_outcomes_and_times_are_counted(replica_of, monkeypatch):
    ended, ran = [], []
    replica = replica_of()
    monkeypatch.setattr(replica._metrics, "ended", lambda *tags: ended.append(tags))
    monkeypatch.setattr(replica._metrics, "ran", lambda *values: ran.append(values))
    await events_of(replica)
    await events_of(replica, parameters={"error": "refused"})
    replica._model.gate.clear()
    replica._model.started.clear()
    reader = Reader(replica, parameters={"hold": True})
    await until(replica._model.started.is_set)
    await reader.cut_off()
    assert ended == [("small", "speak", end) for end in ("succeeded", "invalid_request", "canceled")]
    assert [(variant, task, seconds) for variant, task, _, seconds in ran] == [("small", "speak", 1.0)]


async def test_a_variant_that_never_fits_is_refused(replica_of):
    with pytest.raises(OutOfMemory, match="memory_bytes"):
        await replica_of("Weighty", memory_bytes=2**20).load("small")
