"""Times contenders in turn, A B A B, and compares them round by round."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Call = Callable[[], object]


@dataclass(frozen=True)
class Setting:
    """The folder and length of a benchmark run."""

    folder: Path
    """Folder for files and the servers' state; deleted when the run ends."""
    quick: bool
    """Use few rounds and jobs, to check that everything runs; the figures are not for quoting."""

    def rounds(self, full: int) -> int:
        """Return the number of rounds, which is ``full`` in a full run."""
        return min(full, 2) if self.quick else full


@dataclass(frozen=True)
class Comparison:
    """The seconds of each contender in each round. The first contender is the baseline."""

    title: str
    seconds: Mapping[str, list[float]]
    amount: float = 1
    """Amount of work in each timing, in `unit`."""
    unit: str = "calls"

    def median(self, name: str) -> float:
        """Return the median seconds of a contender."""
        return statistics.median(self.seconds[name])

    def ratios(self, name: str) -> list[float]:
        """Divide each round's time by the baseline's of the same round: a busy machine slows down both."""
        baseline = next(iter(self.seconds.values()))
        return [seconds / base for seconds, base in zip(self.seconds[name], baseline, strict=True)]

    def record(self) -> dict[str, Any]:
        """Return every timing with its medians, for JSON."""
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
    """Call every contender once to warm up, then time all of them in turn for ``rounds`` rounds."""
    for call in contenders.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds
