"""Contenders timed in turn, A B A B, and compared round by round."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Call = Callable[[], object]


@dataclass(frozen=True)
class Setting:
    """What a comparison is given."""

    folder: Path
    """For its files, servers' states included; gone when the run ends."""
    quick: bool
    """Fewer rounds and jobs: to see that everything runs, not to quote."""

    def rounds(self, full: int) -> int:
        """How many rounds to take where a full run takes ``full``."""
        return min(full, 2) if self.quick else full


@dataclass(frozen=True)
class Comparison:
    """Seconds that each contender took, round by round. The first one is the baseline."""

    title: str
    seconds: Mapping[str, list[float]]
    amount: float = 1
    """How much is done in each of these times."""
    unit: str = "calls"
    """And of what."""

    def median(self, name: str) -> float:
        """Median seconds of one round."""
        return statistics.median(self.seconds[name])

    def ratios(self, name: str) -> list[float]:
        """Each round's time over the baseline's in the same round: a slow minute slows down both."""
        baseline = next(iter(self.seconds.values()))
        return [own / base for own, base in zip(self.seconds[name], baseline, strict=True)]

    def record(self) -> dict[str, Any]:
        """Everything that was measured, for JSON."""
        contenders = {
            name: {
                "seconds": seconds,
                "median_seconds": self.median(name),
                "median_ratio": statistics.median(self.ratios(name)),
            }
            for name, seconds in self.seconds.items()
        }
        return {"title": self.title, "amount": self.amount, "unit": self.unit, "contenders": contenders}


def alternate(contenders: Mapping[str, Call], rounds: int) -> dict[str, list[float]]:
    """Call every contender once without a clock, then all of them in turn, ``rounds`` times, with one."""
    for call in contenders.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    return seconds
