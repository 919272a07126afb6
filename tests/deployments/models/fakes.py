"""A run context without a cluster, for the unit tests of models."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import soxr

from audiograph.errors import Canceled, NotFound
from deployments.models.base import Samples


class FakeContext:
    """`RunContext` over audio in memory; it records what the model reports.

    Args:
        audio: samples ``[channels, frames]`` and their rate in Hz, by file id.
        cancel_after: how many calls of `progress` and `check` pass before they raise `Canceled`.
    """

    device = "cpu"

    def __init__(
        self,
        audio: Mapping[str, tuple[Samples, int]] | None = None,
        *,
        job_id: str = "job-test",
        cancel_after: int | None = None,
    ) -> None:
        self.job_id = job_id
        self.reports: list[tuple[float, str | None]] = []
        self.partials: list[dict[str, Any]] = []
        self.checks = 0
        self.cancel_after = cancel_after
        self._audio = dict(audio or {})

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        if file_id not in self._audio:
            raise NotFound(f"no file {file_id!r}", field="file")
        samples, rate = self._audio[file_id]
        if mono:
            samples = np.atleast_2d(samples).mean(axis=0, dtype=np.float32)
        if sample_rate is not None and sample_rate != rate:
            samples, rate = soxr.resample(samples.T, rate, sample_rate).T, sample_rate
        return np.ascontiguousarray(samples, dtype=np.float32), rate

    def progress(self, fraction: float, stage: str | None = None) -> None:
        self.reports.append((fraction, stage))
        self.check()

    def partial(self, data: dict[str, Any]) -> None:
        self.partials.append(data)

    def check(self) -> None:
        self.checks += 1
        if self.cancel_after is not None and self.checks > self.cancel_after:
            raise Canceled("the job was canceled")

    @property
    def fractions(self) -> list[float]:
        """The progress reported, in order."""
        return [fraction for fraction, _ in self.reports]

    @property
    def stages(self) -> list[str]:
        """The stages named, in order, each once per change."""
        names = [stage for _, stage in self.reports if stage is not None]
        return [name for n, name in enumerate(names) if n == 0 or name != names[n - 1]]
