"""Errors of full memory are recognized, and no others."""

import numpy as np
import pytest
import torch

from deployments.models.kit.resources import is_out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 512.00 MiB."),
        RuntimeError("CUDA failed with error out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_is_recognized(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_the_libraries_errors_of_today_are_recognized() -> None:
    with pytest.raises(RuntimeError) as by_torch:
        torch.empty(2**60, dtype=torch.uint8)
    with pytest.raises(MemoryError) as by_numpy:
        np.empty(2**60, np.uint8)
    assert is_out_of_memory(by_torch.value)
    assert is_out_of_memory(by_numpy.value)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory"), KeyError("x")])
def test_other_errors_are_not(error: Exception) -> None:
    assert not is_out_of_memory(error)
