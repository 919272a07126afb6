"""``/metrics`` for Prometheus, read from the job store at each scrape: one place knows the truth.

Ray exports the rest (requests, latencies, replicas) on its own ports. Open to all, as scrapers expect.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from deployments.ingress.backend import Injected, Services
from deployments.ingress.http.route import NativeRoute
from deployments.ingress.native import examples
from deployments.ingress.native.examples import answers
from deployments.storage.artifacts import Usage

router = APIRouter(tags=["operation"], route_class=NativeRoute)


@router.get(
    "/metrics",
    summary="Measure it",
    response_class=Response,
    responses=answers(200, examples.METRICS, media_type="text/plain"),
)
async def metrics(request: Request, services: Injected) -> Response:
    """Jobs by task and status, age of the oldest that waits, and what is stored, in Prometheus's format."""
    registry = CollectorRegistry()
    registry.register(await snapshot(services))
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), media_type=media_type)


async def snapshot(services: Services) -> "Snapshot":
    """What the job store and the artifact store hold now."""
    counts, oldest, usage = await asyncio.gather(
        services.queue.counts(),
        services.queue.oldest_queued_seconds(),
        asyncio.to_thread(services.store.usage),
    )
    return Snapshot(counts, oldest, usage)


@dataclass(frozen=True, eq=False)
class Snapshot(Collector):
    """The numbers of one scrape."""

    jobs: dict[tuple[str, str], int]
    """By task and status."""
    oldest_queued_seconds: float
    usage: Usage

    def collect(self) -> Iterator[Metric]:
        """Every series."""
        jobs = GaugeMetricFamily("audiograph_jobs", "Jobs that are kept.", labels=["task", "status"])
        for (task, status), count in sorted(self.jobs.items()):
            jobs.add_metric([task, status], count)
        yield jobs
        yield _gauge(
            "oldest_queued_seconds", "How long the oldest queued job has waited.", self.oldest_queued_seconds
        )
        yield _gauge("stored_items", "Files and artifacts.", self.usage.items)
        yield _gauge("stored_blobs", "Distinct contents of them.", self.usage.blobs)
        yield _gauge("stored_bytes", "Bytes of those, each counted once.", self.usage.bytes)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"audiograph_{name}", text, value)
