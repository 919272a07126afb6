"""Requests of a model that run alone, or together in batches."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from audiograph.errors import Canceled, InvalidRequest, OutOfMemory, WeightsMissing
from audiograph.schemas import SpeakResult
from deployments.models.base import Output, RunContext
from deployments.models.kit.speech_model import SpeechRequest
from deployments.replica.lanes import Completed
from tests.deployments.replica.stage import Stage, started
from tests.deployments.replica.toy_models import Choir, Miscounting, Pair, Stubborn, Toy, ToyEngine, text


def voice_of(ran: object) -> str:
    assert isinstance(ran, Completed)
    assert isinstance(ran.output.result, SpeakResult)
    return ran.output.result.voice


def stages_of(stage: Stage, key: str) -> list[str | None]:
    return [event["stage"] for event in stage.events[key] if event["type"] == "progress"]


SECONDS_FOR_ALL = 5.0
"""A full batch does not wait; the test of a batch that should be full and is not exceeds its timeout."""


async def test_requests_share_a_batch_up_to_its_size(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=3, wait=SECONDS_FOR_ALL)
    ran = await asyncio.gather(*[stage.submit(text) for text in "abcdef"])
    assert stage.model.batches_run == [["a", "b", "c"], ["d", "e", "f"]]
    assert all(one.weights == "random" for one in ran)
    assert stage.model.loads == ["small"]


async def test_a_batch_that_is_not_full_waits_no_longer_than_it_may(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=8, wait=0.05)
    ran = await stage.submit("alone")
    assert stage.model.batches_run == [["alone"]]
    assert ran.timings.queue + ran.timings.load >= 0.05


async def test_only_the_same_variant_and_task_share_a_batch(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path)
    await asyncio.gather(
        stage.submit("a"), stage.submit("b", variant="medium"), stage.submit_dialogue("c"), stage.submit("d")
    )
    assert sorted(stage.model.batches_run) == [["a", "d"], ["b"], ["dialogue"]]


async def test_a_canceled_request_leaves_before_its_batch_starts(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=3, wait=SECONDS_FOR_ALL)
    first, second = stage.submit("a"), stage.submit("b")
    await asyncio.sleep(0.05)
    await stage.cancel(first, "a")
    await asyncio.gather(second, stage.submit("c"), stage.submit("d"))
    assert stage.model.batches_run == [["b", "c", "d"]]


async def test_a_canceled_request_leaves_a_running_batch_to_its_neighbours(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=2, wait=SECONDS_FOR_ALL)
    stage.model.gate.clear()
    first, second = stage.submit("a"), stage.submit("b")
    await started(stage.model)
    await stage.cancel(first, "a")  # at once, while the batch goes on
    assert not second.done()
    stage.model.gate.set()
    assert voice_of(await second) == "toy"
    assert stage.events["a"] == []


async def test_the_last_to_leave_a_batch_waits_for_the_thread(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=2, wait=SECONDS_FOR_ALL)
    stage.model.gate.clear()
    first, second = stage.submit("a"), stage.submit("b")
    await started(stage.model)
    await stage.cancel(first, "a")
    stage.contexts["b"].cancel()
    second.cancel()
    await asyncio.sleep(0.05)
    assert not second.done()
    stage.model.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert stage.variants.loaded()[0].users == 0


async def test_the_last_of_a_split_batch_waits_for_the_thread(tmp_path: Path) -> None:
    class Splitting(Choir):
        def run_batch(
            self, engine: ToyEngine, requests: Sequence[SpeechRequest], contexts: Sequence[RunContext]
        ) -> Sequence[Output | Exception]:
            if len(requests) > 1:
                raise RuntimeError("not together")
            if text(requests[0]) == "b":
                self.started.set()
                self.gate.wait(30)
            return [self.sing(request, context) for request, context in zip(requests, contexts, strict=True)]

    stage = Stage(Splitting(), tmp_path, size=2, wait=SECONDS_FOR_ALL)
    stage.model.gate.clear()
    first, second = stage.submit("a"), stage.submit("b")
    await first
    await started(stage.model)
    stage.contexts["b"].cancel()
    second.cancel()
    await asyncio.sleep(0.05)
    assert not second.done()
    stage.model.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await second


async def test_one_poisoned_request_does_not_fail_its_neighbours(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=4, wait=SECONDS_FOR_ALL)
    tasks = [stage.submit("a"), stage.submit("b"), stage.submit("c", error="poison"), stage.submit("d")]
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(end, Exception) for end in ends] == [False, False, True, False]
    assert str(ends[2]) == "one of them is poison"
    assert stage.model.batches_run == [["a", "b", "c", "d"], ["a", "b"], ["c", "d"], ["c"], ["d"]]


async def test_an_exception_in_an_entry_is_that_request_s_own(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=2, wait=SECONDS_FOR_ALL)
    ends = await asyncio.gather(stage.submit("a", error="own"), stage.submit("b"), return_exceptions=True)
    assert isinstance(ends[0], ValueError)
    assert voice_of(ends[1]) == "toy"
    assert len(stage.model.batches_run) == 1


async def test_a_batch_too_big_for_the_memory_is_halved(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=5, wait=SECONDS_FOR_ALL)
    stage.model.fits = 2
    ran = await asyncio.gather(*[stage.submit(text) for text in "abcde"])
    assert len(ran) == 5
    assert [len(batch) for batch in stage.model.batches_run] == [5, 2, 3, 1, 2]


async def test_a_request_that_does_not_fit_alone_says_what_it_needed(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=2, wait=SECONDS_FOR_ALL)
    ends = await asyncio.gather(stage.submit("a", error="memory"), stage.submit("b"), return_exceptions=True)
    assert isinstance(ends[0], OutOfMemory)
    assert ends[0].details == {"needed_bytes": 2048 + 100, "limit_bytes": 1000, "used_bytes": 100}
    assert "make it shorter" in ends[0].message
    assert voice_of(ends[1]) == "toy"


async def test_each_request_of_a_batch_has_its_own_progress(tmp_path: Path) -> None:
    stage = Stage(Choir(), tmp_path, size=2, wait=SECONDS_FOR_ALL)
    await asyncio.gather(stage.submit("a"), stage.submit("b"))
    assert stages_of(stage, "a") == ["a"]
    assert stages_of(stage, "b") == ["b"]


async def test_a_model_that_miscounts_its_outputs_is_told_so(tmp_path: Path) -> None:
    stage = Stage(Miscounting(), tmp_path)
    with pytest.raises(RuntimeError, match="run_batch returned 0 outputs for 1 requests"):
        await stage.submit("a")


@pytest.mark.parametrize(("model", "together"), [(Stubborn, 1), (Pair, 2)])
async def test_a_model_that_does_not_batch_runs_as_many_as_its_concurrency(
    tmp_path: Path, model: Callable[[], Toy], together: int
) -> None:
    stage = Stage(model(), tmp_path)
    stage.model.gate.clear()
    tasks = [stage.submit(text) for text in "abc"]
    await asyncio.sleep(0.2)
    assert stage.model.running == together
    stage.model.gate.set()
    await asyncio.gather(*tasks)
    assert stage.model.max_running == together


async def test_a_canceled_run_keeps_its_slot_until_the_thread_has_ended(tmp_path: Path) -> None:
    stage = Stage(Stubborn(), tmp_path)
    stage.model.gate.clear()
    first, second = stage.submit("a"), stage.submit("b")
    await started(stage.model)
    stage.contexts["a"].cancel()
    first.cancel()
    await asyncio.sleep(0.05)
    first.cancel()  # a second cancel changes nothing
    await asyncio.sleep(0.05)
    assert not first.done()
    assert stage.model.running == 1
    stage.model.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert voice_of(await second) == "toy"
    assert stage.model.max_running == 1


async def test_a_model_that_checks_is_canceled_within_a_step(tmp_path: Path) -> None:
    stage = Stage(Toy(), tmp_path)
    stage.model.gate.clear()  # it stays closed: only the cancel ends the run
    task = stage.submit("a", hold=True)
    await started(stage.model)
    await stage.cancel(task, "a")
    assert stage.model.running == 0


async def test_a_failed_load_fails_all_that_wait_for_it_alike(tmp_path: Path) -> None:
    stage = Stage(Toy(), tmp_path)
    stage.model.load_error = WeightsMissing("no weights")
    ends = await asyncio.gather(stage.submit("a"), stage.submit("b"), return_exceptions=True)
    assert list(ends) == [stage.model.load_error] * 2
    stage.model.load_error = None
    assert (await stage.submit("c")).timings.load > 0


@pytest.mark.parametrize(
    ("error", "raised"),
    [("refused", InvalidRequest), ("unexpected", KeyError), ("exit", RuntimeError), ("stop", RuntimeError)],
)
async def test_what_a_model_raises_reaches_its_caller_alone(
    tmp_path: Path, error: str, raised: type[Exception]
) -> None:
    stage = Stage(Toy(), tmp_path)
    with pytest.raises(raised):
        await stage.submit("a", error=error)
    assert voice_of(await stage.submit("b")) == "toy"


async def test_the_times_add_up(tmp_path: Path) -> None:
    stage = Stage(Toy(), tmp_path)
    first, second = await asyncio.gather(stage.submit("a", seconds=0.1), stage.submit("b"))
    assert first.timings.run >= 0.1
    assert second.timings.queue >= 0.1 - first.timings.load
    assert second.timings.run < second.timings.queue


async def test_every_call_of_the_context_raises_canceled(tmp_path: Path) -> None:
    stage = Stage(Toy(), tmp_path)
    await stage.submit("a")
    context = stage.contexts["a"]
    context.cancel()
    calls: tuple[Callable[[], None], ...] = (
        context.check,
        lambda: context.progress(0.5),
        lambda: context.partial({}),
    )
    for report in calls:
        with pytest.raises(Canceled):
            report()
