"""Measures device memory, and builds the errors for requests and variants that do not fit."""

import ctypes
import gc
import re
from functools import cache
from pathlib import Path
from typing import Protocol

from audiograph.errors import OutOfMemory
from deployments.config import ModelConfig

_UNITS = "bkmgtpe"
_REQUESTED = re.compile(r"allocate ([\d.]+) ?(bytes|[KMGTPE]i?B)", re.IGNORECASE)


class Memory(Protocol):
    """The memory of one device, as this process uses it. All figures are bytes."""

    device: str
    """``"cpu"`` or ``"cuda"``."""
    limit: int | None
    """Maximum bytes of this process; None without a limit."""

    def used(self) -> int:
        """Return the bytes that the process uses now."""
        ...

    def settle(self) -> int:
        """Free unreferenced memory, then return the bytes in use."""
        ...


class ResidentMemory:
    """Main memory: the resident set of the process."""

    device = "cpu"
    limit: int | None = None

    def used(self) -> int:
        """Return the resident bytes; 0 on other systems than Linux."""
        statm = Path("/proc/self/statm")
        return int(statm.read_text().split()[1]) * _page_bytes() if statm.exists() else 0

    def settle(self) -> int:
        """Collect garbage and return freed heap pages to the system, then measure."""
        gc.collect()
        _trim_heap()
        return self.used()


class CudaMemory:
    """The first visible GPU: the memory that PyTorch's allocator has reserved."""

    device = "cuda"

    def __init__(self, fraction: float) -> None:
        import torch

        self._cuda = torch.cuda
        total = torch.cuda.get_device_properties(0).total_memory
        self.limit: int | None = int(total * min(fraction, 1.0))
        if fraction < 1:  # Ray only schedules by the fraction; this enforces it
            torch.cuda.set_per_process_memory_fraction(fraction, 0)

    def used(self) -> int:
        """Return the reserved bytes, with PyTorch's cache: no other process can use them."""
        return int(self._cuda.memory_reserved(0))

    def settle(self) -> int:
        """Collect garbage and empty PyTorch's cache, then measure."""
        gc.collect()
        self._cuda.empty_cache()
        return self.used()


def device_memory(config: ModelConfig) -> Memory:
    """Return the memory of a replica's device: a GPU if its entry asks Ray for one, or for a fraction.

    Raises:
        RuntimeError: the entry asks for a GPU, and PyTorch sees none.
    """
    fraction = float((config.deployment.get("ray_actor_options") or {}).get("num_gpus") or 0)
    if not fraction:  # PyTorch is not imported: some models do without it
        return ResidentMemory()
    import torch

    if not torch.cuda.is_available():
        raise RuntimeError(
            f"ray_actor_options.num_gpus is {fraction:g}, but PyTorch {torch.__version__} sees no GPU here"
        )
    return CudaMemory(fraction)


def out_of_memory(
    subject: str, hint: str, *, device: str, needed: int | None, limit: int | None, used: int
) -> OutOfMemory:
    """Build the error for a request or variant that does not fit: the need, the limit, and the cure.

    Args:
        subject: of the message, such as ``"whisper large-v3"``.
        hint: the cure, as an imperative.
        device: where it did not fit.
        needed: bytes; None if unknown.
        limit: maximum bytes; None if only the device itself limits them.
        used: bytes in use now.
    """
    need = f"needs {readable(needed)}" if needed else "needs more memory than there is"
    bound = f"of at most {readable(limit)}" if limit else "already"
    figures = {"needed_bytes": needed, "limit_bytes": limit, "used_bytes": used}
    return OutOfMemory(
        f"{subject} {need} on the {device}, which uses {readable(used)} {bound}: {hint}",
        details={key: value for key, value in figures.items() if value is not None},
    )


def request_too_big(error: BaseException, model: str, memory: Memory) -> OutOfMemory:
    """Build the error for a request whose run raised the out-of-memory `error`."""
    requested, used = requested_bytes(error), memory.used()
    return out_of_memory(
        f"this request to {model}",
        "make it shorter or smaller, take a smaller variant, or give the model more of the device",
        device=memory.device,
        needed=used + requested if requested else None,
        limit=memory.limit,
        used=used,
    )


def requested_bytes(error: BaseException) -> int | None:
    """Return the size of the failed allocation, if the exception's message has it."""
    found = _REQUESTED.search(str(error))
    if not found:
        return None
    number, unit = found.groups()
    return int(float(number.rstrip(".")) * 1024 ** _UNITS.index(unit[0].lower()))


def readable(size: int) -> str:
    """Format a size in the largest unit that gives at least 1."""
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
