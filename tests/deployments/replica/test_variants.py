"""The cache of a model's variants: loaded once, unloaded for room, after an idle time or on request."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from audiograph.errors import ModelUnavailable, OutOfMemory, WeightsMissing
from deployments.models.base import LoadContext
from deployments.models.weights.published import Published, Report
from deployments.models.weights.supply import Supply
from deployments.replica import loading
from deployments.replica.loading import Variant
from deployments.replica.memory import Memory, ResidentMemory
from deployments.replica.variants import Variants
from deployments.threads import Threads
from tests.deployments.replica.toy_models import (
    ENGINES,
    OutOfMemoryError,
    Toy,
    ToyEngine,
    ToyMemory,
    Unready,
    Weighty,
)
from tests.deployments.replica.toy_replicas import until

MIB = 2**20


def variants_of(
    model: Toy,
    tmp_path: Path,
    *,
    memory: Memory | None = None,
    budget: int | None = None,
    idle_seconds: float = 900,
    **options: Any,
) -> Variants[ToyEngine]:
    return Variants(
        model,
        name="toy",
        policy="tiny",
        work_dir=tmp_path,
        threads=Threads("test", 8),
        memory=memory or ToyMemory(),
        budget=budget,
        idle_seconds=idle_seconds,
        **options,
    )


@asynccontextmanager
async def holding(variants: Variants[ToyEngine], name: str) -> AsyncIterator[Variant[ToyEngine]]:
    variant = await variants.acquire(name)
    try:
        yield variant
    finally:
        variants.release(variant)


def names(variants: Variants[ToyEngine]) -> list[str]:
    return [loaded.variant for loaded in variants.loaded()]


async def test_concurrent_loads_of_a_variant_load_it_once(tmp_path: Path) -> None:
    model = Toy()
    variants = variants_of(model, tmp_path)
    held = await asyncio.gather(*[variants.acquire("small") for _ in range(5)])
    assert len({id(variant.loaded.engine) for variant in held}) == 1
    assert model.loads == ["small"]


async def test_a_failed_load_raises_the_same_error_to_all_and_is_not_kept(tmp_path: Path) -> None:
    model = Toy()
    model.load_error = WeightsMissing("no weights")
    model.load_gate.clear()
    variants = variants_of(model, tmp_path)
    waiting = [asyncio.create_task(variants.acquire("small")) for _ in range(3)]
    await until(model.loading.is_set)
    model.load_gate.set()
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert len({id(error) for error in errors}) == 1
    assert errors[0] is model.load_error
    model.load_error = None
    async with holding(variants, "small") as variant:
        assert variant.loaded.engine.variant == "small"
    assert model.loads == ["small", "small"]


@pytest.mark.parametrize("error", [KeyError("layer"), SystemExit(2), StopIteration()])
async def test_any_error_of_a_load_arrives_as_model_unavailable(tmp_path: Path, error: BaseException) -> None:
    model = Toy()
    model.load_error = error
    with pytest.raises(ModelUnavailable, match="toy small could not be loaded"):
        await variants_of(model, tmp_path).acquire("small")


async def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="install the package toys"):
        await variants_of(Unready(), tmp_path).acquire("small")


async def test_an_unused_variant_is_unloaded_after_the_idle_time(tmp_path: Path) -> None:
    model = Toy()
    variants = variants_of(model, tmp_path, idle_seconds=0.05)
    async with holding(variants, "small"):
        await asyncio.sleep(0.15)
        assert names(variants) == ["small"]
    await until(lambda: not variants.loaded())
    assert model.unloads == ["small"]
    assert not list(ENGINES)


async def test_a_load_whose_callers_all_left_still_ends_and_idles_out(tmp_path: Path) -> None:
    model = Toy()
    model.load_gate.clear()
    variants = variants_of(model, tmp_path, idle_seconds=0.05)
    waiting = asyncio.create_task(variants.acquire("small"))
    await until(model.loading.is_set)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    model.load_gate.set()
    await until(lambda: model.unloads == ["small"])


async def test_the_budget_lets_the_least_recently_used_go_first(tmp_path: Path) -> None:
    model = Toy()
    variants = variants_of(model, tmp_path, budget=300)
    for name in ("small", "medium", "small"):
        async with holding(variants, name):
            pass
    model.sizes = {**Toy.sizes, "large": 150}  # type: ignore[misc]  # of this instance alone
    async with holding(variants, "large"):
        assert names(variants) == ["small", "large"]
    assert model.unloads == ["medium"]


async def test_a_variant_in_use_is_never_evicted(tmp_path: Path) -> None:
    model = Toy()
    variants = variants_of(model, tmp_path, budget=500)
    async with holding(variants, "small"):
        async with holding(variants, "medium"):
            pass
        async with holding(variants, "large"):
            assert sorted(names(variants)) == ["large", "small"]
    assert model.unloads == ["medium"]


async def test_a_load_waits_for_room_and_then_goes_on(tmp_path: Path) -> None:
    model = Toy()
    variants = variants_of(model, tmp_path, budget=450)
    small = await variants.acquire("small")
    waiting = asyncio.create_task(variants.acquire("large"))
    await until(lambda: "large" in model.unloads)  # loaded, measured, found not to fit
    assert names(variants) == ["small"]
    variants.release(small)
    large = await waiting
    assert names(variants) == ["large"]
    assert large.bytes == 400


async def test_a_load_that_finds_no_room_says_what_it_needed(tmp_path: Path) -> None:
    variants = variants_of(Toy(), tmp_path, budget=450, room_seconds=0.05)
    async with holding(variants, "small"):
        with pytest.raises(
            OutOfMemory, match=r"toy large needs 400 bytes.*memory_bytes.*small has ended"
        ) as refused:
            await variants.acquire("large")
    assert refused.value.details == {"needed_bytes": 400, "limit_bytes": 450, "used_bytes": 100}


async def test_a_variant_beyond_the_whole_budget_is_refused_at_once(tmp_path: Path) -> None:
    model = Toy()
    variants = variants_of(model, tmp_path, budget=300)
    async with holding(variants, "small"):
        for _ in range(2):
            with pytest.raises(OutOfMemory, match="needs 400 bytes"):
                await variants.acquire("large")
    assert names(variants) == ["small"]  # not evicted in vain the second time
    assert model.loads == ["small", "large"]


async def test_a_full_device_makes_idle_variants_leave_and_tries_again(tmp_path: Path) -> None:
    class Full(Toy):
        def load(self, variant: str, context: LoadContext) -> ToyEngine:
            if ToyMemory().used() + self.sizes[variant] > 450:
                self.loads.append("full")
                raise OutOfMemoryError("CUDA out of memory. Tried to allocate 400 bytes.")
            return super().load(variant, context)

    model = Full()
    variants = variants_of(model, tmp_path, memory=ToyMemory(450), room_seconds=0.05)
    async with holding(variants, "small"):
        pass
    async with holding(variants, "large"):
        assert model.loads == ["small", "full", "large"]
        with pytest.raises(OutOfMemory) as refused:
            await variants.acquire("medium")
    assert refused.value.details["needed_bytes"] == 400


async def test_unload_waits_for_the_work_and_returns_the_bytes(tmp_path: Path) -> None:
    model = Toy()
    variants = variants_of(model, tmp_path)
    small = await variants.acquire("small")
    unloading = asyncio.create_task(variants.unload("small"))
    await asyncio.sleep(0.05)
    late = asyncio.create_task(variants.acquire("small"))
    await asyncio.sleep(0.05)
    assert not unloading.done()
    assert not late.done()
    variants.release(small)
    assert await unloading == {"small": 100}
    assert (await late) is not small
    assert model.loads == ["small", "small"]
    assert len(list(ENGINES)) == 1


async def test_unload_without_a_name_unloads_all_and_nothing_twice(tmp_path: Path) -> None:
    variants = variants_of(Toy(), tmp_path)
    for name in ("small", "medium"):
        await variants.load(name)
    both = await asyncio.gather(variants.unload(), variants.unload())
    assert both[0] | both[1] == {"small": 100, "medium": 200}
    assert len(both[0]) + len(both[1]) == 2
    assert await variants.unload("small") == {}
    assert not list(ENGINES)


async def test_an_unload_that_is_canceled_leaves_the_variant_usable(tmp_path: Path) -> None:
    variants = variants_of(Toy(), tmp_path)
    async with holding(variants, "small"):
        unloading = asyncio.create_task(variants.unload("small"))
        await asyncio.sleep(0.05)
        unloading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await unloading
        async with holding(variants, "small") as again:
            assert again.loaded is not None


async def test_an_engine_whose_unload_raises_is_dropped_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Clinging(Toy):
        def unload(self, engine: ToyEngine) -> None:
            raise RuntimeError("the handle is stuck")

    variants = variants_of(Clinging(), tmp_path)
    await variants.load("small")
    assert list(await variants.unload("small")) == ["small"]
    assert variants.loaded() == []
    assert "the handle is stuck" in caplog.text


async def test_load_returns_the_bytes_to_all_callers_that_waited(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    variants = variants_of(Toy(), tmp_path, changed=lambda name, size: seen.append((name, size)))
    taken = await asyncio.gather(variants.load("medium"), variants.load("medium"))
    assert list(taken) == [200, 200]
    assert await variants.load("medium") is None
    await variants.unload()
    assert seen == [("medium", 200), ("medium", 0)]


async def test_the_health_test_runs_on_idle_engines_alone_and_does_not_count_as_use(tmp_path: Path) -> None:
    model = Toy()
    variants = variants_of(model, tmp_path, idle_seconds=0.3)
    await variants.load("small")
    async with holding(variants, "medium"):
        await variants.check_idle()
        assert model.checks == 1
        while variants.has("small"):
            await variants.check_idle()
            await asyncio.sleep(0.01)
        assert names(variants) == ["medium"]
    model.check_error = RuntimeError("engine broken")
    with pytest.raises(RuntimeError, match="engine broken"):
        await variants.check_idle()


async def test_loaded_variants_are_described_with_their_users(tmp_path: Path) -> None:
    variants = variants_of(Toy(), tmp_path)
    async with holding(variants, "small"):
        (loaded,) = variants.loaded()
        assert (loaded.variant, loaded.weights, loaded.bytes) == ("small", "random", 100)
    assert variants.loaded()[0].idle_seconds >= 0


async def test_real_memory_is_measured_as_it_comes_and_goes(tmp_path: Path) -> None:
    memory = ResidentMemory()
    gc.unfreeze()  # objects that were alive when another test loaded a variant and did not unload it
    memory.settle()
    variants = variants_of(Weighty(), tmp_path, memory=memory)
    taken = await variants.load("small") or 0
    freed = (await variants.unload("small"))["small"]
    assert 60 * MIB < taken < 80 * MIB
    assert 60 * MIB < freed < 80 * MIB


async def test_those_that_wait_for_a_variant_hear_how_much_of_it_was_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(published: object, policy: object, work_dir: object, report: Report) -> Supply:
        report(5_000_000, None)
        report(63_000_000, 133_000_000)
        return Supply("random", None)

    monkeypatch.setattr(loading, "supply", fetch)
    stages: list[str] = []
    await variants_of(Toy(), tmp_path).acquire("small", stages.append)
    assert stages == ["fetching weights: 5 MB", "fetching weights: 63 of 133 MB"]


async def test_a_variant_is_loaded_while_another_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = threading.Event()

    def fetch(published: Sequence[Published], *_: object) -> Supply:
        if published == Toy().published("large"):
            fetched.wait(30)
        return Supply("random", None)

    monkeypatch.setattr(loading, "supply", fetch)
    variants = variants_of(Toy(), tmp_path)
    large = asyncio.create_task(variants.acquire("large"))
    await asyncio.sleep(0.05)
    await variants.acquire("small")
    assert names(variants) == ["small"]
    fetched.set()
    await large
