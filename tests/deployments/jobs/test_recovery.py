"""Runners that are killed, paused and replaced while jobs are in flight."""

import asyncio
import os
import signal
from collections import Counter

from deployments.jobs.lease import Leases
from tests.deployments.jobs.conftest import Farm, MakeFarm


async def all_succeed_once(farm: Farm, ids: list[str], seconds: float = 60) -> None:
    """Every job succeeded, and has exactly one artifact that is whole and its own."""
    for job_id in ids:
        job = await farm.queue.wait(job_id, seconds)
        assert job.status == "succeeded", job
        [artifact] = job.artifacts
        assert [a.id for a in farm.store.search(job_id=job_id).data] == [artifact.id]
        with farm.store.local(artifact.id) as path:
            assert path.stat().st_size == artifact.bytes


async def test_jobs_outlive_their_runner(farm: Farm) -> None:
    runner = farm.start_runner()
    ids = [(await farm.submit(f"job {n}", steps=5, delay=0.4)).id for n in range(20)]
    await farm.until_started(ids[0])
    farm.kill(runner)
    farm.start_runner()
    await all_succeed_once(farm, ids)
    starts = Counter(job_id for what, job_id, _ in farm.journal() if what == "start")
    assert max(starts.values()) == 2
    assert max([(await farm.queue.get(job_id)).attempts for job_id in ids]) == 2


async def test_a_job_submitted_without_a_runner_waits_for_one(farm: Farm) -> None:
    job = await farm.submit()
    assert (await farm.queue.wait(job.id, 0.5)).status == "queued"
    farm.start_runner()
    await all_succeed_once(farm, [job.id])


async def test_another_runner_takes_over_from_a_killed_one(make_farm: MakeFarm) -> None:
    farm = make_farm(concurrency=10, concurrency_per_model=10)
    first, _ = farm.start_runner(), farm.start_runner()
    ids = [(await farm.submit(f"job {n}", steps=5, delay=0.4)).id for n in range(20)]
    await farm.until_started(ids[-1])
    farm.kill(first)
    await all_succeed_once(farm, ids)


async def test_another_runner_takes_the_jobs_of_one_that_stopped_at_once(make_farm: MakeFarm) -> None:
    farm = make_farm(dead_after_seconds=600.0)  # silence would take too long
    first = farm.start_runner()
    job = await farm.submit("long", steps=5, delay=0.4)
    await farm.until_started(job.id)
    first.terminate()
    await asyncio.to_thread(first.join, 60)
    assert first.exitcode == 0
    assert Leases(farm.store.database, dead_after_seconds=600.0).live() == []
    farm.start_runner()
    await all_succeed_once(farm, [job.id])


async def test_a_runner_that_only_seemed_dead_does_no_harm(make_farm: MakeFarm) -> None:
    farm = make_farm(concurrency=10, concurrency_per_model=10)
    first, _ = farm.start_runner(), farm.start_runner()
    ids = [(await farm.submit(f"job {n}", steps=5, delay=0.4)).id for n in range(20)]
    await farm.until_started(ids[-1])
    assert first.pid is not None
    os.kill(first.pid, signal.SIGSTOP)
    await asyncio.sleep(4)  # twice the silence after which it is taken for dead
    os.kill(first.pid, signal.SIGCONT)
    await all_succeed_once(farm, ids)
    more = [(await farm.submit(f"later {n}")).id for n in range(10)]
    await all_succeed_once(farm, more)


async def test_events_across_a_crash_say_which_attempt_they_belong_to(farm: Farm) -> None:
    runner = farm.start_runner()
    job = await farm.submit(steps=8, delay=0.2)
    reader = asyncio.create_task(_types_and_attempts(farm, job.id))
    await farm.until_started(job.id)
    farm.kill(runner)
    farm.start_runner()
    events = await reader
    attempts = [attempt for _, attempt in events]
    assert attempts == sorted(attempts)
    assert set(attempts) == {1, 2}
    assert ("retrying", 2) in events
    assert events[-1] == ("succeeded", 2)


async def _types_and_attempts(farm: Farm, job_id: str) -> list[tuple[str, int]]:
    return [(event.type, event.attempt) async for event in farm.queue.events(job_id)]
