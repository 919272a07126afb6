"""How much device memory there is, how much is in use, and what running out of it looks like."""

import ctypes
import gc
import re
from functools import cache
from pathlib import Path
from typing import Protocol

from audiograph.errors import OutOfMemory
from deployments.config import ModelConfig

_UNITS = "bkmgtpe"
_ASKED = re.compile(r"allocate ([\d.]+) ?(bytes|[KMGTPE]i?B)", re.IGNORECASE)
_SIGNS = ("out of memory", "can't allocate memory", "_STATUS_ALLOC_FAILED")


class Memory(Protocol):
    """The memory of one device, as this process uses it. All figures are bytes."""

    device: str
    """``"cpu"`` or ``"cuda"``."""
    limit: int | None
    """The most that this process may use; None if nothing limits it."""

    def used(self) -> int:
        """What the process uses now."""
        ...

    def settle(self) -> int:
        """Give back what nothing refers to any more, then measure what is used."""
        ...


class ResidentMemory:
    """Main memory: the resident set of the process."""

    device = "cpu"
    limit: int | None = None

    def used(self) -> int:
        """Resident bytes; 0 where the system does not tell (it is Linux that does)."""
        statm = Path("/proc/self/statm")
        return int(statm.read_text().split()[1]) * _page_bytes() if statm.exists() else 0

    def settle(self) -> int:
        """Collect garbage and hand freed heap pages back to the system, then measure."""
        gc.collect()
        _trim_heap()
        return self.used()


class CudaMemory:
    """The first visible GPU: what PyTorch's allocator has taken from the device."""

    device = "cuda"

    def __init__(self, fraction: float) -> None:
        import torch

        self._cuda = torch.cuda
        total = torch.cuda.get_device_properties(0).total_memory
        self.limit: int | None = int(total * min(fraction, 1.0))
        if fraction < 1:  # Ray only schedules by the fraction; this makes it hold
            torch.cuda.set_per_process_memory_fraction(fraction, 0)

    def used(self) -> int:
        """Bytes taken from the device, PyTorch's own cache included: nobody else can use them."""
        return int(self._cuda.memory_reserved(0))

    def settle(self) -> int:
        """Collect garbage and empty PyTorch's cache, then measure."""
        gc.collect()
        self._cuda.empty_cache()
        return self.used()


def device_memory(config: ModelConfig) -> Memory:
    """The memory of the device that a replica was given: a GPU if it asked Ray for (a part of) one.

    Raises:
        RuntimeError: it asked for a GPU, and PyTorch sees none.
    """
    fraction = float((config.deployment.get("ray_actor_options") or {}).get("num_gpus") or 0)
    if not fraction:  # and PyTorch is not imported: some models do without
        return ResidentMemory()
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(
            f"ray_actor_options.num_gpus is {fraction:g}, but PyTorch {torch.__version__} sees no GPU here"
        )
    return CudaMemory(fraction)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception of Python, NumPy, PyTorch or CTranslate2 says that memory ran out.

    By name, since PyTorch may not be imported here; by message where the libraries raise RuntimeError.
    """
    if isinstance(error, MemoryError):
        return True
    if any(cls.__name__ == "OutOfMemoryError" for cls in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _SIGNS)


def out_of_memory(
    what: str, hint: str, *, device: str, needed: int | None, limit: int | None, used: int
) -> OutOfMemory:
    """The error for what does not fit: how much was needed, how much there is, and what to change.

    Args:
        what: the subject of the message, such as ``"whisper large-v3"``.
        hint: what to change, as an imperative.
        device: where it did not fit.
        needed: bytes; None if it is not known.
        limit: the most bytes there may be; None if only the device itself limits them.
        used: bytes in use now.
    """
    need = f"needs {readable(needed)}" if needed else "needs more memory than there is"
    bound = f"of at most {readable(limit)}" if limit else "already"
    figures = {"needed_bytes": needed, "limit_bytes": limit, "used_bytes": used}
    return OutOfMemory(
        f"{what} {need} on the {device}, which uses {readable(used)} {bound}: {hint}",
        details={key: value for key, value in figures.items() if value is not None},
    )


def request_too_big(error: BaseException, model: str, memory: Memory) -> OutOfMemory:
    """The error for a request for which memory ran out with `error`."""
    asked, used = asked_bytes(error), memory.used()
    return out_of_memory(
        f"this request to {model}",
        "make it shorter or smaller, take a smaller variant, or give the model more of the device",
        device=memory.device,
        needed=used + asked if asked else None,
        limit=memory.limit,
        used=used,
    )


def asked_bytes(error: BaseException) -> int | None:
    """The size of the allocation that failed, if the exception's message tells."""
    found = _ASKED.search(str(error))
    if not found:
        return None
    number, unit = found.groups()
    return int(float(number.rstrip(".")) * 1024 ** _UNITS.index(unit[0].lower()))


def readable(size: int) -> str:
    """A size in the largest unit that leaves at least one of it."""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


@cache
def _page_bytes() -> int:
    import resource

    return resource.getpagesize()


def _trim_heap() -> None:
    trim = getattr(_c_library(), "malloc_trim", None)  # glibc has it, musl and macOS have not
    if trim is not None:
        trim(0)


@cache
def _c_library() -> ctypes.CDLL:
    return ctypes.CDLL(None)
