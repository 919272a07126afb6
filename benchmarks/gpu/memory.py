"""Memory limits of a replica that has a fraction of a GPU: they hold, and the replica goes on beyond them."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch

from audiograph.errors import OutOfMemory
from audiograph.schemas import Request, SpeakRequest, SpeakResult, TaskName, TranscribeRequest
from benchmarks import full_size
from benchmarks.gpu.setting import CheckFailed, Result, Setting
from benchmarks.whisper_speed import SAMPLE_RATE, noise_recordings
from deployments.config import LimitsConfig, ModelConfig
from deployments.models.base import Family, LoadContext, Model, Options, Output, RunContext, Samples
from deployments.models.weights.published import Published
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.replica.batching import Batcher
from deployments.replica.context import ReplicaContext
from deployments.replica.lanes import Completed
from deployments.replica.memory import CudaMemory, Memory, device_memory
from deployments.replica.protocol import task_of
from deployments.replica.variants import Variants
from deployments.threads import Threads

if TYPE_CHECKING:
    from whisper import Whisper as Network

    from deployments.storage.artifacts import ArtifactStore

NO_STORE = cast("ArtifactStore", None)  # the requests name no stored files
FRACTION = 0.25
"""Share of the GPU of the replica whose limits are checked."""
WINDOWS = 64
ROOM_BYTES = 8 * 2**30
"""What Whisper large-v3 may take beside its weights: windows need 250 MB each, so 64 of them do not fit."""


class Filler(Model[None, SpeakRequest]):
    """Takes as many bytes of its device as the text of a request says; variant ``huge`` takes 1 EiB."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak",)
    variants = ("small", "huge")
    default_variant = "small"

    def load(self, variant: str, context: LoadContext) -> None:
        """Load nothing, or more than any device has."""
        if variant == "huge":
            _fill(2**60, context.device)

    def run(self, engine: None, request: SpeakRequest, context: RunContext) -> Output:
        """Take the bytes, and free them."""
        _fill(int(request.text), context.device)
        return Output(SpeakResult(duration=1.0, sample_rate=1, channels=1, voice="none"))


def _fill(size: int, device: str) -> None:
    torch.zeros(size, dtype=torch.uint8, device=device).sum().item()


class BuiltWhisper(Whisper):
    """Whisper large-v3 with random weights."""

    def __init__(self, *, rows: int, tiny: bool) -> None:
        super().__init__(WhisperOptions(batch_size=rows))
        self._tiny = tiny

    def published(self, variant: str) -> Sequence[Published]:
        """List nothing: the weights are built."""
        return ()

    def load(self, variant: str, context: LoadContext) -> "Network":
        """Build the network."""
        return full_size.whisper_large(context.device, tiny=self._tiny)


class NoiseContext(ReplicaContext):
    """A replica's context of one request, whose file is noise in memory."""

    def __init__(self, setting: Setting, samples: Samples | None = None) -> None:
        super().__init__(
            device=setting.device,
            job_id="bare",
            store=NO_STORE,
            limits=LimitsConfig(),
            scratch=setting.folder,
            send=lambda event: None,
        )
        self._samples = samples

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        """Return the noise: mono ``[frames]`` at 16 kHz."""
        assert self._samples is not None
        return self._samples, SAMPLE_RATE

    def offset(self, file_id: str) -> float:
        """Return 0: the file begins with its sound."""
        return 0.0


class BareReplica:
    """The parts of a replica that keep to its memory, without Ray, a database and storage."""

    def __init__(
        self, model: Family[Any, Any], memory: Memory, setting: Setting, *, max_batch_size: int = 1
    ) -> None:
        threads = Threads("replica", 3)
        self._setting = setting
        self.variants = Variants(
            model,
            name="model",
            policy="tiny",
            work_dir=setting.folder,
            threads=threads,
            memory=memory,
            budget=memory.limit,
            idle_seconds=900,
        )
        self._batcher = Batcher(
            model,
            name="model",
            variants=self.variants,
            threads=threads,
            memory=memory,
            max_batch_size=max_batch_size,
            batch_wait_seconds=0.0,
        )

    async def run(self, request: Request, variant: str, samples: Samples | None = None) -> Completed:
        """Run one request."""
        context = NoiseContext(self._setting, samples)
        return await self._batcher.submit(variant, task_of(request), request, context)


def check_limits(setting: Setting) -> Iterator[Result]:
    """Send requests below and beyond the limit, and load a variant that does not fit.

    Raises:
        CheckFailed: what does not fit is not refused, what fits is, or more was taken than is allowed.
    """
    with _limited(setting, FRACTION) as memory:
        limit = memory.limit or 2**60  # a CPU's memory has no limit: only an absurd size is refused
        fitting = setting.pick(limit // 2, 2**20)
        yield from asyncio.run(_refusals(setting, memory, fitting, limit + limit // 10))
        if setting.on_gpu:
            yield _peak(memory)


async def _refusals(setting: Setting, memory: Memory, fitting: int, excessive: int) -> list[Result]:
    replica = BareReplica(Filler(Options()), memory, setting)

    def fill(size: int) -> Coroutine[Any, Any, object]:
        return replica.run(SpeakRequest(text=str(size)), "small")

    await fill(fitting)
    results = [await _refused("a request beyond the limit", fill(excessive), memory)]
    await fill(fitting)
    results.append(await _refused("a variant beyond the limit", replica.variants.load("huge"), memory))
    await fill(fitting)
    return results


async def _refused(title: str, call: Coroutine[Any, Any, object], memory: Memory) -> Result:
    try:
        await call
    except OutOfMemory as error:
        if error.details.get("limit_bytes") != memory.limit:
            raise CheckFailed(f"{title}: the error names another limit: {error.details}") from error
        return {"title": f"{title} is refused, and the next request runs", "error": error.message}
    raise CheckFailed(f"{title} was not refused")


def _peak(memory: Memory) -> Result:
    peak = torch.cuda.max_memory_reserved()
    if memory.limit is not None and peak > memory.limit:
        raise CheckFailed(f"PyTorch reserved {peak} bytes; the limit is {memory.limit}")
    return {"title": "the most that PyTorch reserved", "bytes": peak, "limit_bytes": memory.limit}


def check_halving(setting: Setting) -> Iterator[Result]:
    """Transcribe more windows at once than fit: the batch is halved until it does, and none is lost."""
    windows = setting.pick(WINDOWS, 3)
    total = torch.cuda.get_device_properties(0).total_memory if setting.on_gpu else 2**40
    with _limited(setting, setting.pick(ROOM_BYTES + 3.2e9, ROOM_BYTES) / total) as memory:
        texts = asyncio.run(_transcribed(setting, memory, windows))
        peak = _peak(memory) if setting.on_gpu else {}
    if len(texts) != windows or len(set(texts)) != 1 or not texts[0]:
        raise CheckFailed(f"{windows} windows gave {len(texts)} texts, {len(set(texts))} different ones")
    yield {"title": f"{windows} windows in the memory of fewer: all are transcribed", **peak}


async def _transcribed(setting: Setting, memory: Memory, windows: int) -> list[str]:
    model = BuiltWhisper(rows=windows, tiny=setting.tiny)
    replica = BareReplica(model, memory, setting, max_batch_size=windows)
    run = partial(replica.run, TranscribeRequest(file="noise"), "large-v3")
    completed = await asyncio.gather(*(run(samples) for samples in noise_recordings(windows)))
    await replica.variants.unload()
    return [str(each.output.result.model_dump()["text"]) for each in completed]


@contextmanager
def _limited(setting: Setting, fraction: float) -> Iterator[Memory]:
    """Limit this process to a fraction of the GPU, like a replica's entry that asks Ray for it."""
    options = {"ray_actor_options": {"num_gpus": fraction}} if setting.on_gpu else {}
    memory = device_memory(ModelConfig.model_validate({"class": "models:Model", "deployment": options}))
    if setting.on_gpu:
        memory.settle()
        torch.cuda.reset_peak_memory_stats()
    try:
        yield memory
    finally:
        if isinstance(memory, CudaMemory):
            torch.cuda.set_per_process_memory_fraction(1.0, 0)
