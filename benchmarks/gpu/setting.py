"""What every measurement is given, how it times, and how it says that a check failed."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

Size = TypeVar("Size")
Result = dict[str, Any]
"""One result, as JSON: its title and figures."""


class CheckFailed(Exception):
    """The GPU's results are not those that were expected."""


class Skip(Exception):
    """The measurement cannot be taken on this machine, and the reason."""


@dataclass(frozen=True, slots=True)
class Setting:
    """The device and the size of the models."""

    device: str
    """``"cuda"`` or ``"cpu"``."""
    tiny: bool
    """Whether models and inputs are tiny, to check that everything runs."""
    folder: Path
    """For files; deleted when the worker ends."""

    def pick(self, full: Size, tiny: Size) -> Size:
        """Return the first of two sizes in a full run, the second in a tiny one."""
        return tiny if self.tiny else full

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device == "cuda"


def current_device() -> str:
    """Return ``"cuda"`` if PyTorch sees a GPU, else ``"cpu"``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def wait_for(device: str) -> None:
    """Wait until a device has done what was queued on it."""
    if device == "cuda":
        torch.cuda.synchronize()


def rate(
    setting: Setting, title: str, call: Callable[[], object], amount: float, unit: str, *, rounds: int = 1
) -> Result:
    """Time a call after a first one that warms up, and return its rate.

    Args:
        setting: its device has done all work when a timing ends.
        title: of the result.
        call: the work.
        amount: work in one call, in `unit`.
        unit: such as ``"steps"``.
        rounds: number of timings; the rate is that of their median.
    """
    call()
    seconds = [_timed(setting, call) for _ in range(rounds)]
    return rate_of(title, seconds, amount, unit)


def rate_of(title: str, seconds: list[float], amount: float, unit: str) -> Result:
    """Return the rate of timings as a result."""
    median = statistics.median(seconds)
    return {
        "title": title,
        "per_second": amount / median,
        "unit": unit,
        "seconds": seconds,
        "amount": amount,
    }


def _timed(setting: Setting, call: Callable[[], object]) -> float:
    wait_for(setting.device)
    start = time.perf_counter()
    call()
    wait_for(setting.device)
    return time.perf_counter() - start
