"""``/health`` and ``/ready``: is it alive, and can it take work. Open to all: a kubelet has no API key."""

import asyncio
import logging
import time
from collections.abc import Awaitable
from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import func, select

from audiograph._version import __version__
from audiograph.errors import AudiographError, ModelUnavailable
from audiograph.schemas import Dependency, Health, Readiness
from deployments.ingress.backend import Injected, Services
from deployments.ingress.http.route import NativeRoute
from deployments.ingress.native import examples
from deployments.ingress.native.examples import answers
from deployments.storage.tables import Runner

router = APIRouter(tags=["operation"], route_class=NativeRoute)

CHECK_SECONDS = 5.0
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {
        "model": Readiness,
        "description": "Something required is missing",
        "content": {"application/json": {"example": examples.NOT_READY}},
    }
}

logger = logging.getLogger(__name__)


@router.get("/health", summary="Is it alive?", responses=answers(200, examples.HEALTH))
async def health() -> Health:
    """The ingress answers. Says nothing of what it depends on: see /ready."""
    return Health(version=__version__)


@router.get("/ready", summary="Can it take work?", responses=answers(200, examples.READY) | _NOT_READY)
async def ready(services: Injected, response: Response) -> Readiness:
    """Whether work can be taken, and what that depends on. Models are optional: they start on demand."""
    checks = [
        _check("database", _database(services)),
        _check("artifacts", _artifacts(services)),
        _check("runner", _runner(services)),
        *[_check(f"model {n}", _model(services, n), required=False) for n in services.registry.cards],
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
        message = f"{type(error).__name__}; the log has the rest"  # its text may hold passwords
    return Dependency(name=name, ok=message is None, required=required, message=message)


async def _database(services: Services) -> None:
    def touch() -> None:
        with services.store.database.snapshot() as session:
            session.execute(select(1))

    await asyncio.to_thread(touch)


async def _artifacts(services: Services) -> None:
    def touch() -> None:
        with services.store.writer() as writer:  # nothing is committed
            writer.write(b"ready")

    await asyncio.to_thread(touch)


async def _runner(services: Services) -> None:
    longest = services.config.jobs.dead_after_seconds

    def newest() -> float:
        with services.store.database.snapshot() as session:
            return session.scalar(select(func.max(Runner.heartbeat_at))) or 0.0

    if time.time() - await asyncio.to_thread(newest) > longest:
        raise ModelUnavailable(
            f"no job runner has given a sign of life within {longest:g} s; jobs wait for one"
        )


async def _model(services: Services, name: str) -> None:
    missing = services.registry.card(name).missing
    if missing:
        raise ModelUnavailable(missing)
    await services.models.status(name)
