"""Requests that join and leave a running continuous batch."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from audiograph.errors import OutOfMemory
from audiograph.schemas import SpeakResult
from deployments.models.base import Intake
from deployments.models.kit.speech_model import SpeechRequest
from deployments.replica.lanes import Completed
from tests.deployments.replica.stage import Stage, started
from tests.deployments.replica.toy_models import ToyEngine, Treadmill

Task = asyncio.Task[Completed]


async def standing(stage: Stage, text: str, **parameters: Any) -> Task:
    """Submit a request, and wait until its first step has begun, where the batch then pauses."""
    stage.model.gate.clear()
    stage.model.started.clear()
    task = stage.submit(text, **parameters)
    await started(stage.model)
    return task


async def queued(stage: Stage, *texts: str, **parameters: Any) -> list[Task]:
    """Submit requests that wait while the batch pauses."""
    tasks = [stage.submit(text, **parameters) for text in texts]
    await asyncio.sleep(0)
    return tasks


def voice_of(ran: Completed) -> str:
    assert isinstance(ran.output.result, SpeakResult)
    return ran.output.result.voice


async def test_a_request_joins_a_running_batch_and_leaves_before_it_ends(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path)
    long = await standing(stage, "long", steps=4)
    (short,) = await queued(stage, "short")
    stage.model.gate.set()
    await asyncio.gather(long, short)
    assert stage.model.steps == [["long"], ["long", "short"], ["long"], ["long"]]
    assert stage.variants.loaded()[0].users == 0


async def test_no_more_join_than_the_capacity(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path, size=2)
    first = await standing(stage, "a", steps=3)
    others = await queued(stage, "b", "c", "d")
    stage.model.gate.set()
    await asyncio.gather(first, *others)
    assert stage.model.steps == [["a"], ["a", "b"], ["a", "c"], ["d"]]


async def test_a_request_alone_does_not_wait_for_others(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path, wait=5.0)
    ran = await asyncio.wait_for(stage.submit("alone"), 2.0)
    assert ran.timings.queue < 1


async def test_a_canceled_request_leaves_within_a_step_and_its_neighbours_go_on(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path)
    stays = await standing(stage, "stays", steps=3)
    (leaves,) = await queued(stage, "leaves", steps=1000)
    stage.model.gate.set()
    await asyncio.sleep(0.1)
    assert "leaves" in stage.model.steps[-1]
    await stage.cancel(leaves, "leaves")
    await stays
    assert all(len(step) <= 2 for step in stage.model.steps)
    assert len(stage.model.steps) < 1000
    assert stage.variants.loaded()[0].users == 0


async def test_a_canceled_request_never_joins(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path)
    first = await standing(stage, "first", steps=2)
    (waiting,) = await queued(stage, "waiting")
    await stage.cancel(waiting, "waiting")
    stage.model.gate.set()
    await first
    assert stage.model.steps == [["first"], ["first"]]


async def test_requests_that_do_not_fit_together_are_retried_in_halves(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path)
    stage.model.fits = 2
    first = await standing(stage, "a", steps=2)
    others = await queued(stage, "b", "c", "d")
    stage.model.gate.set()
    ran = await asyncio.gather(first, *others)
    assert [voice_of(one) for one in ran] == ["toy"] * 4
    assert stage.model.steps[:3] == [["a"], ["a", "b", "c", "d"], ["a", "b"]]
    assert stage.variants.loaded()[0].users == 0


async def test_a_request_that_fails_alone_fails_alone_and_says_why(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path)
    first = await standing(stage, "well", steps=2)
    others = await queued(stage, "ill", error="memory", steps=2)
    stage.model.gate.set()
    assert voice_of(await first) == "toy"
    with pytest.raises(OutOfMemory, match=r"needs .* on the cpu"):
        await others[0]
    assert stage.variants.loaded()[0].users == 0


async def test_a_failure_arrives_before_its_variant_is_unloaded(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path)
    task = await standing(stage, "ill", error="memory")
    unloading = asyncio.create_task(stage.variants.unload("small"))
    await asyncio.sleep(0)
    stage.model.gate.set()
    with pytest.raises(OutOfMemory):
        await asyncio.wait_for(task, 5)
    assert list(await unloading) == ["small"]


async def test_an_error_before_any_request_was_taken_reaches_all_callers(tmp_path: Path) -> None:
    class Stillborn(Treadmill):
        def run_continuous(self, engine: ToyEngine, intake: Intake[SpeechRequest]) -> None:
            raise RuntimeError("no cache")

    stage = Stage(Stillborn(), tmp_path)
    tasks = [stage.submit(text) for text in "abc"]
    errors = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
    assert [str(error) for error in errors] == ["no cache"] * 3


async def test_a_model_that_forgets_a_request_fails_it(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path)
    stage.model.loses = True
    with pytest.raises(RuntimeError, match="1 requests unfinished"):
        await asyncio.wait_for(stage.submit("lost"), 5)


async def test_no_request_joins_a_variant_that_is_to_be_unloaded(tmp_path: Path) -> None:
    stage = Stage(Treadmill(), tmp_path)
    first = await standing(stage, "first", steps=2)
    unloading = asyncio.create_task(stage.variants.unload("small"))
    await asyncio.sleep(0)
    (late,) = await queued(stage, "late")
    stage.model.gate.set()
    await asyncio.gather(first, late)
    assert list(await unloading) == ["small"]
    assert stage.model.steps == [["first"], ["first"], ["late"]]
    assert stage.model.loads == ["small", "small"]
