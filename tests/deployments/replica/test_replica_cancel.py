"""A canceled run ends, frees what it holds, and leaves no files behind."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from deployments.replica import replica as replica_module
from deployments.replica.outputs import store_outputs
from tests.deployments.replica.toy_replicas import Reader, ToyReplica, result_of, run_of, stored, until

ReplicaOf = Callable[..., ToyReplica]


@pytest.mark.parametrize("how", ["cut off", "closed"])
async def test_leaving_cancels_the_model_and_frees_its_slot(replica_of: ReplicaOf, how: str) -> None:
    replica = replica_of()
    replica.model.gate.clear()
    reader = Reader(replica, parameters={"hold": True})
    await until(replica.model.started.is_set)
    if how == "cut off":
        await reader.cut_off()
    else:
        reader.task.cancel()
        await asyncio.wait({reader.task})
        await reader.run.aclose()
    assert replica.model.running == 0
    assert (await replica.status())["ongoing"] == 0
    assert await result_of(replica)


async def test_a_model_that_never_checks_keeps_its_caller_until_it_ends(replica_of: ReplicaOf) -> None:
    replica = replica_of("Stubborn")
    replica.model.gate.clear()
    reader = Reader(replica)
    await until(replica.model.started.is_set)
    reader.task.cancel()
    await asyncio.sleep(0.1)
    assert not reader.task.done()
    assert (await replica.status())["ongoing"] == 1
    replica.model.gate.set()
    await asyncio.wait({reader.task})
    assert reader.task.cancelled()
    assert (await replica.status())["ongoing"] == 0


async def test_a_queued_run_that_is_canceled_never_starts(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    replica.model.gate.clear()
    first = Reader(replica, parameters={"hold": True})
    await until(replica.model.started.is_set)
    second = Reader(replica, "never", parameters={"steps": 1000})
    await asyncio.sleep(0.05)
    await second.cut_off()
    replica.model.gate.set()
    await first.task
    assert replica.model.steps_done == 1  # the first one's


async def test_a_run_that_is_canceled_while_it_loads_leaves_at_once(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    replica.model.load_gate.clear()
    reader = Reader(replica)
    await until(replica.model.loading.is_set)
    await reader.cut_off()
    replica.model.load_gate.set()
    assert await result_of(replica)
    assert replica.model.loads == ["small"]


async def test_a_run_canceled_after_its_files_were_stored_leaves_none(
    replica_of: ReplicaOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = replica_of()
    all_stored = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slowly(*args: Any) -> None:
        store_outputs(*args)
        assert len(stored(replica)) == 2
        loop.call_soon_threadsafe(all_stored.set)
        time.sleep(0.1)  # the cancel comes while the thread still runs, with nothing left to refuse it

    monkeypatch.setattr(replica_module, "store_outputs", slowly)
    reader = Reader(replica, parameters={"files": True})
    await all_stored.wait()
    await reader.cut_off()
    assert stored(replica) == []


async def test_a_result_that_was_not_read_leaves_no_files(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    run = run_of(replica, parameters={"files": True})
    assert (await anext(run))["type"] == "progress"
    await until(lambda: len(stored(replica)) == 2)
    await asyncio.sleep(0.1)
    await run.aclose()
    assert stored(replica) == []


@pytest.mark.parametrize("toy", ["Toy", "Pair", "Choir"])
async def test_a_storm_of_cancels_leaks_nothing(replica_of: ReplicaOf, toy: str) -> None:
    replica = replica_of(toy, batch_wait_seconds=0.01)
    rng = random.Random(7)
    variants = ("small", "medium")

    async def one(number: int) -> bool:
        parameters = {"files": True, "steps": 3, "seconds": 0.002}
        reader = Reader(replica, str(number), variant=variants[number % 2], parameters=parameters)
        if number % 3:
            await asyncio.sleep(rng.uniform(0, 0.3))
            reader.task.cancel()
        await asyncio.wait({reader.task})
        return any(message["type"] == "result" for message in reader.messages)

    delivered = await asyncio.gather(*[one(number) for number in range(60)])
    status = await replica.status()
    assert status["ongoing"] == 0
    assert [loaded["users"] for loaded in status["loaded"]] == [0, 0]
    assert len(stored(replica)) == 2 * sum(delivered)
    assert sum(delivered) >= 20
    assert sorted((await replica.unload(None))["variants"]) == ["medium", "small"]  # they have no holders
