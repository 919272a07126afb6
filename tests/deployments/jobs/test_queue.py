"""A job's life through the queue, with a real runner process and a real database."""

import asyncio
import base64
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from audiograph.errors import (
    Conflict,
    IdempotencyConflict,
    InvalidRequest,
    NotFound,
    NotServed,
    QueueFull,
)
from audiograph.schemas import AnalyzePitchRequest, JobEvent, SpeakRequest
from deployments.jobs import durable
from deployments.jobs.janitor import Janitor
from deployments.jobs.records import JobRecords
from deployments.storage.artifacts import Provenance
from tests.deployments.jobs.conftest import Farm, MakeFarm
from tests.deployments.jobs.echo import Echo
from tests.support.sounds import speech_like, wav_bytes


async def events_of(farm: Farm, job_id: str, after: str | None = None) -> list[JobEvent]:
    return [event async for event in farm.queue.events(job_id, after)]


async def test_a_job_goes_from_queued_to_its_artifact(farm: Farm) -> None:
    job = await farm.submit("hello", creator="me", client_job_id="mine", priority=2)
    assert (job.status, job.attempts, job.model, job.variant) == ("queued", 0, "echo", "plain")
    assert (job.priority, job.client_job_id, job.started_at) == (2, "mine", None)
    farm.start_runner()
    done = await farm.queue.wait(job.id, 20)
    assert (done.status, done.progress, done.attempts, done.weights) == ("succeeded", 1.0, 1, "none")
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.created_at <= done.started_at <= done.finished_at
    [artifact] = done.artifacts
    assert b"".join(farm.store.read(artifact.id)) == b"hello"
    assert done.result.voice == "echo"


async def test_events_number_from_zero_and_end_with_the_whole_job(farm: Farm) -> None:
    farm.start_runner()
    job = await farm.submit(steps=4)
    events = await events_of(farm, job.id)
    assert [event.type for event in events] == ["started", *["progress"] * 4, "succeeded"]
    assert [event.id for event in events] == ["0", "1", "2", "3", "4", "final"]
    assert events[-1].job == await farm.queue.get(job.id)
    assert await events_of(farm, job.id) == events


async def test_events_resume_after_any_of_them(farm: Farm) -> None:
    farm.start_runner()
    job = await farm.submit(steps=4)
    whole = await events_of(farm, job.id)
    for position, event in enumerate(whole):
        assert await events_of(farm, job.id, after=event.id) == whole[position + 1 :]
    with pytest.raises(InvalidRequest, match="'x' is not the id of an event"):
        await events_of(farm, job.id, after="x")
    with pytest.raises(NotFound):
        await events_of(farm, "nonsense")


async def test_a_failure_keeps_code_message_stage_and_attempt(farm: Farm) -> None:
    farm.start_runner()
    job = await farm.queue.wait((await farm.submit(fail="the file is a picture")).id, 20)
    assert job.status == "failed"
    assert job.error.model_dump() == {
        "code": "invalid_audio",
        "field": "file",
        "message": "the file is a picture",
        "stage": "step 1",
        "attempt": 1,
        "details": {"why": "told to"},
    }
    assert job.artifacts == []


async def test_a_dead_replica_is_tried_again(farm: Farm) -> None:
    farm.start_runner()
    job = await farm.submit(replica_deaths=2)
    assert [e.type for e in await events_of(farm, job.id)][:3] == ["started", "retrying", "retrying"]
    job = await farm.queue.get(job.id)
    assert (job.status, job.attempts) == ("succeeded", 3)


async def test_a_graph_of_several_calls_is_one_attempt(farm: Farm) -> None:
    farm.start_runner()
    job = await farm.queue.wait((await farm.submit(calls=3)).id, 20)
    assert (job.status, job.attempts) == ("succeeded", 1)
    assert [event.type for event in await events_of(farm, job.id)].count("started") == 1
    retried = await farm.queue.wait((await farm.submit(calls=3, replica_deaths=1)).id, 20)
    assert (retried.status, retried.attempts) == ("succeeded", 2)


async def test_a_model_that_always_dies_fails_the_job(make_farm: MakeFarm) -> None:
    farm = make_farm(step_attempts=2)
    farm.start_runner()
    job = await farm.queue.wait((await farm.submit(replica_deaths=99)).id, 20)
    assert (job.status, job.error.code, job.error.attempt) == ("failed", "model_unavailable", 2)
    assert "no replica of model 'echo' was available after 2 tries" in job.error.message


async def test_a_job_over_its_time_limit_fails_and_says_so(farm: Farm) -> None:
    farm.start_runner()
    job = await farm.queue.wait((await farm.submit(delay=30.0, time_limit=0.5)).id, 20)
    assert (job.status, job.error.code) == ("failed", "time_limit_exceeded")
    assert "0.5 s" in job.error.message
    assert farm.journal()[-1][0] == "cut"


async def test_a_canceled_queued_job_never_starts(farm: Farm) -> None:
    job = await farm.submit("never")
    canceled = await farm.queue.cancel(job.id)
    assert (canceled.status, canceled.attempts) == ("canceled", 0)
    assert (await farm.queue.cancel(job.id)).status == "canceled"
    farm.start_runner()
    await farm.queue.wait((await farm.submit("after")).id, 20)
    assert "never" not in {text for _, _, text in farm.journal()}
    assert [event.type for event in await events_of(farm, job.id)] == ["canceled"]


async def test_a_canceled_running_job_gives_its_slot_to_the_next(make_farm: MakeFarm) -> None:
    farm = make_farm(concurrency=1, concurrency_per_model=1)
    farm.start_runner()
    first, second = await farm.submit("first", delay=60.0), await farm.submit("second")
    await farm.until_started(first.id)
    await farm.queue.cancel(first.id)
    assert (await farm.queue.wait(second.id, 20)).status == "succeeded"
    assert ("cut", first.id, "first") in farm.journal()
    assert (await farm.queue.get(first.id)).status == "canceled"
    with pytest.raises(Conflict, match="has already succeeded"):
        await farm.queue.cancel(second.id)


async def test_a_fallback_is_told_with_the_result_through_any_crash(farm: Farm) -> None:
    runner = farm.start_runner()
    job = await farm.submit(voice="nobody", delay=0.5, key="k")
    await farm.until_started(job.id)
    farm.kill(runner)
    farm.start_runner()
    done = await farm.queue.wait(job.id, 20)
    assert (done.status, done.attempts) == ("succeeded", 2)
    told = "voice 'nobody' not found; using the default voice"
    assert done.result.notes == [told, "the model's own"]
    assert (await farm.submit(voice="nobody", delay=0.5, key="k")).id == job.id


async def test_the_same_key_gives_the_same_job(farm: Farm) -> None:
    first = await farm.submit("once", key="k")
    assert (await farm.submit("once", key="k")).id == first.id
    with pytest.raises(IdempotencyConflict, match=first.id):
        await farm.submit("other", key="k")
    assert (await farm.submit("once", key="k2")).id != first.id


async def test_many_at_once_with_one_key_make_one_job(farm: Farm) -> None:
    outcomes = await asyncio.gather(*(farm.submit("once", key="k") for _ in range(10)))
    assert len({job.id for job in outcomes}) == 1
    mixed = await asyncio.gather(
        *(farm.submit(f"text {n % 2}", key="m") for n in range(10)), return_exceptions=True
    )
    assert sum(isinstance(outcome, IdempotencyConflict) for outcome in mixed) == 5


async def test_a_full_queue_refuses_and_says_when_to_come_back(make_farm: MakeFarm) -> None:
    farm = make_farm(max_queued=3)
    kept = [await farm.submit(str(n), key=str(n)) for n in range(3)]
    with pytest.raises(QueueFull, match="3 jobs are queued and the limit is 3") as refused:
        await farm.submit()
    assert refused.value.retry_after is not None
    assert refused.value.retry_after > 0
    assert (await farm.submit("0", key="0")).id == kept[0].id


async def test_priorities_come_first_and_equals_in_order(make_farm: MakeFarm) -> None:
    farm = make_farm(concurrency=1, concurrency_per_model=1)
    last = await farm.submit("c", priority=9)
    for name, priority in [("b1", 5), ("b2", 5), ("b3", 5), ("a", 1)]:
        await farm.submit(name, priority=priority)
    farm.start_runner()
    await farm.queue.wait(last.id, 20)
    assert [text for what, _, text in farm.journal() if what == "start"] == ["a", "b1", "b2", "b3", "c"]


async def test_pages_go_newest_first_through_every_job_once(farm: Farm) -> None:
    ids = [(await farm.submit(str(n))).id for n in range(7)]
    await farm.queue.cancel(ids[0])
    seen, cursor = [], None
    while True:
        page = await farm.queue.list(limit=3, cursor=cursor)
        seen += [job.id for job in page.data]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids[::-1]
    assert [job.id for job in (await farm.queue.list(status="canceled")).data] == [ids[0]]
    assert (await farm.queue.list(task="transcribe")).data == []
    assert await farm.queue.counts() == {("speak", "queued"): 6, ("speak", "canceled"): 1}
    assert await farm.queue.oldest_queued_seconds() > 0


@pytest.mark.parametrize("text", ["nonsense", "9:", f"{2**63}:a", "9:a\0b", "9:é", "-1:a", "٣:a"])
async def test_a_cursor_of_no_page_is_refused(farm: Farm, text: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        await farm.queue.list(cursor=base64.urlsafe_b64encode(text.encode()).decode())
    with pytest.raises(InvalidRequest, match="cursor"):
        await farm.queue.list(cursor=text)


@pytest.mark.parametrize("after", ["x", "", "-1", "1.0", "٣", str(2**31), str(2**63), "9" * 5000])
async def test_an_event_that_cannot_be_is_refused_at_once(farm: Farm, after: str) -> None:
    with pytest.raises(InvalidRequest, match="not the id of an event") as refused:
        farm.queue.events("any", after, field="Last-Event-ID")
    assert refused.value.field == "Last-Event-ID"


async def test_what_cannot_be_served_is_refused_before_a_job_exists(farm: Farm) -> None:
    with pytest.raises(NotServed):
        await farm.queue.submit(AnalyzePitchRequest(file="file_1"))
    with pytest.raises(NotFound, match="file_gone"):
        await farm.queue.submit(SpeakRequest(text="hello", parent_id="file_gone"))
    assert (await farm.queue.list()).data == []


async def test_a_recording_kept_for_a_request_goes_when_it_is_refused(
    make_farm: MakeFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Echo, "clones_voices", True)
    farm = make_farm()
    with farm.store.writer() as writer:
        writer.write(wav_bytes(speech_like(seconds=2.0), sample_rate=16_000))
        file = writer.commit_file("take.wav", "audio/wav", None)
    with pytest.raises(NotFound, match="file_gone"):
        await farm.submit(voice=file.id, parent_id="file_gone")
    assert farm.store.usage().items == 1
    await farm.submit(voice=file.id)
    assert farm.store.usage().items == 2


async def test_a_file_is_pinned_while_its_job_lives(farm: Farm, tmp_path: Path) -> None:
    with farm.store.writer() as writer:
        writer.write(b"abc")
        file = writer.commit_file("a.txt", "text/plain", None)
    job = await farm.submit(parent_id=file.id)
    with pytest.raises(Conflict):
        farm.store.delete(file.id)
    farm.start_runner()
    await farm.queue.wait(job.id, 20)
    farm.store.delete(file.id)


async def test_what_a_canceled_job_had_made_goes(farm: Farm) -> None:
    job, other = await farm.submit(), await farm.submit()

    def make(job_id: str) -> None:
        made = Provenance(job_id=job_id, task="speak", model="echo", variant="plain", weights="none")
        farm.store.put_artifact("a.txt", b"abc", "text/plain", provenance=made, pin=True)

    for _ in range(20):
        make(job.id)
    make(other.id)
    await asyncio.gather(*[farm.queue.cancel(job.id) for _ in range(4)])  # which delete the same
    assert farm.store.search(job_id=job.id, limit=10).data == []
    make(job.id)  # the replica does not know of the cancellation yet
    client = durable.connect(farm.config.storage.database_url)
    records = JobRecords(client, farm.store.database.engine)
    Janitor(farm.config.jobs, farm.config.storage, farm.store, client, records).clean()
    client.destroy()
    assert farm.store.search(job_id=job.id, limit=10).data == []
    assert len(farm.store.search(job_id=other.id, limit=10).data) == 1


async def test_nothing_in_the_database_is_a_pickle(farm: Farm) -> None:
    farm.start_runner()
    for fields in ({}, {"fail": "no"}, {"replica_deaths": 1}):
        await farm.queue.wait((await farm.submit(**fields)).id, 20)
    engine = farm.store.database.engine
    schema = None if engine.dialect.name == "sqlite" else "dbos"
    with engine.connect() as connection:
        for table in inspect(engine).get_table_names(schema=schema):
            rows = connection.execute(text(f'SELECT * FROM {f"{schema}." if schema else ""}"{table}"'))
            values = [value for row in rows for value in row if isinstance(value, str)]
            assert not [
                value for value in values if value.startswith("gAS")
            ]  # base64 of a pickle's first bytes
            assert "py_pickle" not in values
