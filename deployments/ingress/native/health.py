"""``/health`` and ``/ready``, without an API key: a kubelet has none."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any

from fastapi import Response
from sqlalchemy import func, select

from audiograph._version import __version__
from audiograph.errors import AudiographError, ModelUnavailable
from audiograph.schemas import Dependency, Health, Readiness
from deployments.ingress.backend import Backend, BackendDep
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import StrictRouter
from deployments.ingress.native import examples
from deployments.ingress.native.errors import errors
from deployments.storage.tables import Runner

router = StrictRouter(tags=["operation"])

CHECK_SECONDS = 5.0
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {
        "model": Readiness,
        "description": "A required dependency is not available.",
        "content": {"application/json": {"example": examples.NOT_READY}},
    }
}

logger = logging.getLogger(__name__)


@router.get(
    "/health", summary="Check that the ingress is alive", responses=responses(200, examples.HEALTH) | errors()
)
async def health() -> Health:
    """Report that the ingress responds. Dependencies are not checked; see /ready."""
    return Health(version=__version__)


@router.get(
    "/ready",
    summary="Check that work can be taken",
    responses=responses(200, examples.READY) | errors() | _NOT_READY,
)
async def ready(backend: BackendDep, response: Response) -> Readiness:
    """Report whether work can be taken, by dependency. Models are optional: they start on demand."""
    checks = [
        _check("database", _database(backend)),
        _check("artifacts", _artifacts(backend)),
        _check("runner", _runner(backend)),
        *[_check(f"model {n}", _model(backend, n), required=False) for n in backend.registry.cards],
    ]
    dependencies = await asyncio.gather(*checks)
    readiness = Readiness(ready=all(d.ok or not d.required for d in dependencies), dependencies=dependencies)
    response.status_code = 200 if readiness.ready else 503
    return readiness


async def _check(name: str, check: Awaitable[None], *, required: bool = True) -> Dependency:
    message = None
    try:
        await asyncio.wait_for(check, CHECK_SECONDS)
    except TimeoutError:
        message = f"no answer within {CHECK_SECONDS:.0f} s"
    except AudiographError as error:
        message = error.message
    except Exception as error:
        logger.warning("%s is not ready", name, exc_info=error)
        message = f"{type(error).__name__}; see the server log"  # its text may contain passwords
    return Dependency(name=name, ok=message is None, required=required, message=message)


async def _database(backend: Backend) -> None:
    def touch() -> None:
        with backend.store.database.snapshot() as session:
            session.execute(select(1))

    await asyncio.to_thread(touch)


async def _artifacts(backend: Backend) -> None:
    def touch() -> None:
        with backend.store.writer() as writer:  # nothing is committed
            writer.write(b"ready")

    await asyncio.to_thread(touch)


async def _runner(backend: Backend) -> None:
    longest = backend.config.jobs.dead_after_seconds

    def newest() -> float:
        with backend.store.database.snapshot() as session:
            return session.scalar(select(func.max(Runner.heartbeat_at))) or 0.0

    if time.time() - await asyncio.to_thread(newest) > longest:
        raise ModelUnavailable(f"no job runner has sent a heartbeat within {longest:g} s; jobs stay queued")


async def _model(backend: Backend, name: str) -> None:
    missing = backend.registry.card(name).missing
    if missing:
        raise ModelUnavailable(missing)
    await backend.models.status(name)
