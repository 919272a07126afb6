"""A run that nobody waits for any more ends, gives back what it held, and leaves nothing behind."""

import asyncio
import random
import time

import pytest

from deployments.replica import replica as replica_module
from tests.deployments.replica.toy_replicas import Reader, call, events_of, stored, until


@pytest.mark.parametrize("how", ["cut off", "closed"])
async def test_leaving_cancels_the_model_and_frees_its_slot(replica_of, how):
    replica = replica_of()
    replica._model.gate.clear()
    reader = Reader(replica, parameters={"hold": True})
    await until(replica._model.started.is_set)
    if how == "cut off":
        await reader.cut_off()
    else:
        reader.task.cancel()
        await asyncio.wait({reader.task})
        await reader.run.aclose()
    assert replica._model.running == 0
    assert (await replica.status())["ongoing"] == 0
    assert (await events_of(replica))[-1]["type"] == "result"


async def test_a_model_that_never_looks_keeps_its_caller_until_it_ends(replica_of):
    replica = replica_of("Stubborn")
    replica._model.gate.clear()
    reader = Reader(replica)
    await until(replica._model.started.is_set)
    reader.task.cancel()
    await asyncio.sleep(0.1)
    assert not reader.task.done()
    assert (await replica.status())["ongoing"] == 1
    replica._model.gate.set()
    await asyncio.wait({reader.task})
    assert reader.task.cancelled()
    assert (await replica.status())["ongoing"] == 0


async def test_a_queued_run_that_is_canceled_never_starts(replica_of):
    replica = replica_of()
    replica._model.gate.clear()
    first = Reader(replica, parameters={"hold": True})
    await until(replica._model.started.is_set)
    second = Reader(replica, "never", parameters={"steps": 1000})
    await asyncio.sleep(0.05)
    await second.cut_off()
    replica._model.gate.set()
    await first.task
    assert replica._model.steps_done == 1  # the first one's


async def test_a_run_that_is_canceled_while_it_loads_leaves_at_once(replica_of):
    replica = replica_of()
    replica._model.load_gate.clear()
    reader = Reader(replica)
    await until(replica._model.loading.is_set)
    await reader.cut_off()
    replica._model.load_gate.set()
    assert (await events_of(replica))[-1]["type"] == "result"
    assert replica._model.loads == ["small"]


async def test_a_run_canceled_after_its_files_were_stored_leaves_none(replica_of, monkeypatch):
    replica = replica_of()
    real = replica_module.store_outputs
    there = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(*args):
        real(*args)
        assert len(stored(replica)) == 2
        loop.call_soon_threadsafe(there.set)
        time.sleep(0.1)  # the cancel comes while the thread still runs, with nothing left to refuse it

    monkeypatch.setattr(replica_module, "store_outputs", slowly)
    reader = Reader(replica, parameters={"files": True})
    await there.wait()
    await reader.cut_off()
    assert stored(replica) == []


async def test_a_result_that_nobody_fetched_leaves_no_files(replica_of):
    replica = replica_of()
    run = replica.run(call(parameters={"files": True}))
    assert (await anext(run))["type"] == "progress"
    await until(lambda: len(stored(replica)) == 2)
    await asyncio.sleep(0.1)
    await run.aclose()
    assert stored(replica) == []


@pytest.mark.parametrize("toy", ["Toy", "Pair", "Choir"])
async def test_a_storm_of_cancels_leaks_nothing(replica_of, toy):
    replica = replica_of(toy, batch_wait_seconds=0.01)
    chance = random.Random(7)
    variants = ("small", "medium")

    async def one(number):
        parameters = {"files": True, "steps": 3, "seconds": 0.002}
        reader = Reader(replica, str(number), variant=variants[number % 2], parameters=parameters)
        if number % 3:
            await asyncio.sleep(chance.uniform(0, 0.3))
            reader.task.cancel()
        await asyncio.wait({reader.task})
        return any(event["type"] == "result" for event in reader.events)

    delivered = await asyncio.gather(*[one(number) for number in range(60)])
    status = await replica.status()
    assert status["ongoing"] == 0
    assert [loaded["users"] for loaded in status["loaded"]] == [0, 0]
    assert len(stored(replica)) == 2 * sum(delivered)
    assert sum(delivered) >= 20
    assert sorted((await replica.unload(None))["variants"]) == ["medium", "small"]  # nobody holds them
