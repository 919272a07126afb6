"""Memory of a replica's device: measured, limited, and named in errors."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from audiograph.errors import OutOfMemory
from deployments.config import ModelConfig
from deployments.replica.memory import (
    CudaMemory,
    ResidentMemory,
    device_memory,
    readable,
    request_too_big,
    requested_bytes,
)

GIB = 2**30


def entry(**actor_options: float) -> ModelConfig:
    return ModelConfig.model_validate({"class": "a:B", "deployment": {"ray_actor_options": actor_options}})


class FakeCuda:
    """``torch.cuda`` with a GPU of 80 GiB, of which 3 GiB are reserved; it records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.available = True

    def is_available(self) -> bool:
        return self.available

    def get_device_properties(self, index: int) -> SimpleNamespace:
        return SimpleNamespace(total_memory=80 * GIB)

    def set_per_process_memory_fraction(self, fraction: float, index: int) -> None:
        self.calls.append(("fraction", fraction, index))

    def empty_cache(self) -> None:
        self.calls.append(("empty",))

    def memory_reserved(self, index: int) -> int:
        return 3 * GIB


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> FakeCuda:
    cuda = FakeCuda()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, __version__="2"))
    return cuda


def test_without_a_gpu_it_is_main_memory() -> None:
    memory = device_memory(entry(num_cpus=0.5))
    assert isinstance(memory, ResidentMemory)
    assert (memory.device, memory.limit) == ("cpu", None)


def test_a_fraction_of_a_gpu_is_a_limit(gpu: FakeCuda) -> None:
    memory = device_memory(entry(num_gpus=0.25))
    assert isinstance(memory, CudaMemory)
    assert (memory.device, memory.limit) == ("cuda", 20 * GIB)
    assert gpu.calls == [("fraction", 0.25, 0)]


@pytest.mark.parametrize("count", [1, 2])
def test_whole_gpus_are_limited_by_the_device_alone(gpu: FakeCuda, count: int) -> None:
    assert device_memory(entry(num_gpus=count)).limit == 80 * GIB
    assert gpu.calls == []


def test_gpu_memory_is_measured_with_the_cache_emptied(gpu: FakeCuda) -> None:
    memory = CudaMemory(1)
    assert memory.used() == 3 * GIB
    assert gpu.calls == []
    assert memory.settle() == 3 * GIB
    assert gpu.calls == [("empty",)]


def test_a_gpu_that_is_not_there_is_an_error(gpu: FakeCuda) -> None:
    gpu.available = False
    with pytest.raises(RuntimeError, match=r"num_gpus is 0\.5, but PyTorch 2 sees no GPU"):
        device_memory(entry(num_gpus=0.5))


def test_resident_memory_follows_what_is_held() -> None:
    memory = ResidentMemory()
    before = memory.settle()
    held = np.ones(64 * 2**20, np.uint8)
    assert 60 * 2**20 < memory.settle() - before < 80 * 2**20
    del held
    assert memory.settle() - before < 16 * 2**20


@pytest.mark.parametrize(
    ("message", "requested"),
    [
        ("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has", 20 * GIB),
        ("CUDA out of memory. Tried to allocate 512.00 MiB.", 512 * 2**20),
        ("CUDA failed with error out of memory", None),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate", None),
        ("", None),
    ],
)
def test_the_requested_bytes_are_read_from_the_message(message: str, requested: int | None) -> None:
    assert requested_bytes(torch.OutOfMemoryError(message)) == requested


def test_the_requested_bytes_are_read_from_the_libraries_messages_of_today() -> None:
    with pytest.raises(RuntimeError) as by_torch:
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(MemoryError) as by_numpy:
        np.empty(2**60, np.uint8)
    for raised in (by_torch, by_numpy):
        assert requested_bytes(raised.value) == pytest.approx(2**60, rel=0.01)


def test_the_error_says_how_much_and_what_to_do(gpu: FakeCuda) -> None:
    error = request_too_big(
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."), "demucs", CudaMemory(0.25)
    )
    assert isinstance(error, OutOfMemory)
    assert error.message == (
        "this request to demucs needs 23 GiB on the cuda, which uses 3 GiB of at most 20 GiB: make it "
        "shorter or smaller, take a smaller variant, or give the model more of the device"
    )
    assert error.details == {"needed_bytes": 23 * GIB, "limit_bytes": 20 * GIB, "used_bytes": 3 * GIB}


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (20 * GIB, "20 GiB"), (2**50, "1024 TiB")],
)
def test_sizes_have_fitting_units(size: int, text: str) -> None:
    assert readable(size) == text
