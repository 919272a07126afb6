"""Processors and memory of the machine: how many threads an operation uses, and errors of full memory."""

import os

from threadpoolctl import threadpool_limits

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "_STATUS_ALLOC_FAILED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception of Python, NumPy, PyTorch or CTranslate2 means that memory ran out.

    Classes are compared by name, since PyTorch may not be imported here; libraries that raise RuntimeError
    are recognized by its message.
    """
    if isinstance(error, MemoryError):
        return True
    if any(cls.__name__ == "OutOfMemoryError" for cls in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _OUT_OF_MEMORY)


def all_processors() -> int:
    """Return how many processors this process may use (on Linux), or how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_thread(processors: int) -> threadpool_limits:
    """Limit this thread's processors; `torch.set_num_threads` would limit later threads as well."""
    import torch

    torch.get_num_threads()  # PyTorch sets a thread's number at its first use, and never again
    return threadpool_limits(processors, "openmp")
