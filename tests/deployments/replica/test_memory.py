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
    asked_bytes,
    device_memory,
    is_out_of_memory,
    readable,
    request_too_big,
)

GIB = 2**30


def entry(**actor_options):
    return ModelConfig.model_validate({"class": "a:B", "deployment": {"ray_actor_options": actor_options}})


@pytest.fixture
def gpu(monkeypatch):
    """A PyTorch that sees a GPU of 80 GiB."""
    calls = []
    cuda = SimpleNamespace(
        calls=calls,
        reserved=3 * GIB,
        is_available=lambda: True,
        get_device_properties=lambda index: SimpleNamespace(total_memory=80 * GIB),
        set_per_process_memory_fraction=lambda *args: calls.append(("fraction", *args)),
        empty_cache=lambda: calls.append(("empty",)),
        memory_reserved=lambda index: cuda.reserved,
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda, __version__="2"))
    return cuda


def test_without_a_gpu_it_is_main_memory():
    memory = device_memory(entry(num_cpus=0.5))
    assert isinstance(memory, ResidentMemory)
    assert (memory.device, memory.limit) == ("cpu", None)


def test_a_fraction_of_a_gpu_is_a_limit(gpu):
    memory = device_memory(entry(num_gpus=0.25))
    assert isinstance(memory, CudaMemory)
    assert (memory.device, memory.limit) == ("cuda", 20 * GIB)
    assert gpu.calls == [("fraction", 0.25, 0)]


@pytest.mark.parametrize("count", [1, 2])
def test_whole_gpus_are_limited_by_the_device_alone(gpu, count):
    assert device_memory(entry(num_gpus=count)).limit == 80 * GIB
    assert gpu.calls == []


def test_gpu_memory_is_measured_with_the_cache_emptied(gpu):
    memory = CudaMemory(1)
    assert memory.used() == 3 * GIB
    assert gpu.calls == []
    assert memory.settle() == 3 * GIB
    assert gpu.calls == [("empty",)]


def test_a_gpu_that_is_not_there_is_an_error(gpu):
    gpu.is_available = lambda: False
    with pytest.raises(RuntimeError, match=r"num_gpus is 0\.5, but PyTorch 2 sees no GPU"):
        device_memory(entry(num_gpus=0.5))


def test_resident_memory_follows_what_is_held():
    memory = ResidentMemory()
    before = memory.settle()
    held = np.ones(64 * 2**20, np.uint8)
    assert 60 * 2**20 < memory.settle() - before < 80 * 2**20
    del held
    assert memory.settle() - before < 16 * 2**20


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"), 20 * GIB),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 512.00 MiB."), 512 * 2**20),
        (RuntimeError("CUDA failed with error out of memory"), None),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), None),
        (MemoryError(), None),
    ],
)
def test_running_out_of_memory_is_recognised(error, asked):
    assert is_out_of_memory(error)
    assert asked_bytes(error) == asked


def test_what_the_libraries_say_today_is_recognised():
    with pytest.raises(RuntimeError) as by_torch:
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(MemoryError) as by_numpy:
        np.empty(2**60, np.uint8)
    for raised in (by_torch, by_numpy):
        assert is_out_of_memory(raised.value)
        assert asked_bytes(raised.value) == pytest.approx(2**60, rel=0.01)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("x")])
def test_other_errors_are_not(error):
    assert not is_out_of_memory(error)


def test_the_error_says_how_much_and_what_to_do(gpu):
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
def test_sizes_are_told_in_fitting_units(size, text):
    assert readable(size) == text
