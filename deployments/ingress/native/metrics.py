"""``/metrics`` for Prometheus, read from the job store at each scrape, without an API key.

Ray exports all other series (requests, latencies, replicas) on its own ports.
"""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from deployments.ingress.backend import Backend, BackendDep
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import StrictRouter
from deployments.ingress.native import examples
from deployments.ingress.native.errors import errors
from deployments.storage.artifacts import Usage

router = StrictRouter(tags=["operation"])

_VERSION = re.compile(r"version=([^,;]*)")
_NUMBERS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}")


@router.get(
    "/metrics",
    summary="Scrape metrics",
    response_class=Response,
    responses=responses(200, examples.METRICS, media_type="text/plain") | errors(),
)
async def metrics(request: Request, backend: BackendDep) -> Response:
    """Return jobs by task and status, the age of the oldest queued job, and storage use."""
    registry = CollectorRegistry()
    registry.register(await snapshot(backend))
    encode, media_type = choose_encoder(understood(request.headers.get("accept", "")))
    return Response(encode(registry), media_type=media_type)


def understood(accept: str) -> str:
    """Return an ``Accept`` header, or none if it has a version that `choose_encoder` cannot compare."""
    versions = _VERSION.findall(accept)
    return accept if all(_NUMBERS.fullmatch(version) for version in versions) else ""


async def snapshot(backend: Backend) -> "Snapshot":
    """Read the job store and the artifact store."""
    counts, oldest, usage = await asyncio.gather(
        backend.queue.counts(),
        backend.queue.oldest_queued_seconds(),
        asyncio.to_thread(backend.store.usage),
    )
    return Snapshot(counts, oldest, usage)


@dataclass(frozen=True, eq=False)
class Snapshot(Collector):
    """The values of one scrape."""

    jobs: dict[tuple[str, str], int]
    """By task and status."""
    oldest_queued_seconds: float
    usage: Usage

    def collect(self) -> Iterator[Metric]:
        """Yield every series."""
        jobs = GaugeMetricFamily(
            "audiograph_jobs", "Stored jobs, by task and status.", labels=["task", "status"]
        )
        for (task, status), count in sorted(self.jobs.items()):
            jobs.add_metric([task, status], count)
        yield jobs
        yield _gauge("oldest_queued_seconds", "Age of the oldest queued job.", self.oldest_queued_seconds)
        yield _gauge("stored_items", "Stored files and artifacts.", self.usage.items)
        yield _gauge("stored_blobs", "Distinct stored contents.", self.usage.blobs)
        yield _gauge("stored_bytes", "Bytes of the distinct contents.", self.usage.bytes)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"audiograph_{name}", text, value)
