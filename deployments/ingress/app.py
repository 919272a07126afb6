"""HTTP in, jobs and records out. `create_app` is plain FastAPI; `Ingress` puts it on Ray Serve."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.middleware.cors import CORSMiddleware

from deployments.config import AppConfig
from deployments.ingress import openapi
from deployments.ingress.backend import Services
from deployments.ingress.direct import ServeModels
from deployments.ingress.http import errors
from deployments.ingress.http.auth import RequireKey, check_binding
from deployments.ingress.http.backpressure import Paced
from deployments.ingress.http.request_log import HEADER, RequestLog
from deployments.ingress.model_control import ServeModelControl
from deployments.ingress.native import artifacts, events, files, health, jobs, metrics, models, voices
from deployments.ingress.openai import speech as openai_speech
from deployments.ingress.services import routes as services_dialect
from deployments.jobs import durable
from deployments.jobs.queue import JobQueue
from deployments.logs import configure_logging
from deployments.models.registry import Registry
from deployments.replica.handle import ServeModel
from deployments.storage.api_keys import Keys
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.voices import VoiceStore
from deployments.storage.wanted import WantedVariants

ROUTERS = (jobs, events, files, artifacts, voices, models, health, metrics, services_dialect, openai_speech)
THREADS = 32
EXPOSED_HEADERS = (
    HEADER,
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Location",
    "Preference-Applied",
    "Retry-After",
    openai_speech.NOTES,
    openai_speech.WEIGHTS,
)
"""What a page of another origin may read beside the body."""


def create_app(services: Services, *, echo_request_id: bool = True) -> FastAPI:
    """The native API over the given services.

    ``echo_request_id`` is off where something in front adds ``x-request-id`` to answers already.
    """
    app = FastAPI(**openapi.DESCRIPTION, redoc_url=None, redirect_slashes=False)
    app.state.services = services
    for module in ROUTERS:
        app.include_router(module.router)
    errors.install(app)
    openapi.install(app, keys_required=services.config.auth.required)
    # The last one added is the outermost: whatever fails inside gets a request id and CORS headers.
    if services.config.auth.required:
        app.add_middleware(RequireKey, keys=Keys(services.store.database))
    app.add_middleware(errors.ErrorBoundary)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=services.config.http.cors_origins,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
    )
    app.add_middleware(RequestLog, echo=echo_request_id)
    app.add_middleware(Paced)
    return app


def build_services(config: AppConfig, handles: Mapping[str, DeploymentHandle]) -> Services:
    """Open the stores of a configuration, whose tables are made or upgraded first. Blocking."""
    store = ArtifactStore.open(config.storage)
    store.database.migrate()
    durable.migrate(config.storage.database_url)
    registry = Registry.from_config(config)
    recorded = VoiceStore(store, config.voices, config.limits)
    queue = JobQueue(config.jobs, registry, store, recorded, durable.connect(config.storage.database_url))
    control = ServeModelControl(registry, handles, WantedVariants(store.database))
    direct = ServeModels(
        {name: ServeModel(handle) for name, handle in handles.items()},
        places=config.http.max_direct,
        tries=config.jobs.step_attempts,
    )
    return Services(config, registry, store, recorded, queue, control, direct)


@serve.ingress()
class Ingress:
    """The ingress deployment. Each replica builds its own application, so nothing of it is ever pickled."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, config: AppConfig, models: dict[str, DeploymentHandle], runner: DeploymentHandle
    ) -> None:
        """Start a replica.

        ``runner`` is never called: taking its handle is what makes it part of the application.

        Raises:
            ValueError: Ray Serve's HTTP host is not loopback, and the configuration requires no API keys.
        """
        configure_logging()
        # asyncio's own default, a few threads on a small machine, would let open event streams, which look
        # into the database again and again, hold up uploads.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "ingress"))
        check_binding(config.auth, await asyncio.to_thread(_http_host))
        self._services = await asyncio.to_thread(build_services, config, models)
        self._runner = runner

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Called by Ray Serve once the replica has been made."""
        return create_app(self._services, echo_request_id=False)


def _http_host() -> str | None:
    """The address that Ray Serve's HTTP listens on; None if it is off. Serve has no public way to ask."""
    from ray.serve.context import _get_global_client  # noqa: PLC0415

    host: str | None = _get_global_client().http_config.host
    return host
