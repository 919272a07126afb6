"""The HTTP application: `create_app` is plain FastAPI, and `Ingress` puts it on Ray Serve."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.middleware.cors import CORSMiddleware

from deployments.config import AppConfig
from deployments.ingress import openapi
from deployments.ingress.backend import Backend
from deployments.ingress.direct import ServeModels
from deployments.ingress.http import errors, methods
from deployments.ingress.http.auth import RequireKey, check_binding
from deployments.ingress.http.backpressure import BackpressureMiddleware
from deployments.ingress.http.hosts import RequireHost
from deployments.ingress.http.origins import OriginsByPath, OwnOrigins, allowed_origins
from deployments.ingress.http.request_log import HEADER, RequestLog
from deployments.ingress.model_control import ServeModelControl
from deployments.ingress.native.dialect import NATIVE
from deployments.ingress.openai.dialect import OPENAI
from deployments.ingress.services.dialect import SERVICES
from deployments.jobs import durable
from deployments.jobs.queue import JobQueue
from deployments.logs import configure_logging
from deployments.models.registry import Registry
from deployments.replica.handle import ServeModel
from deployments.storage.api_keys import Keys
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.desired import DesiredVariants
from deployments.storage.voices import VoiceStore

DIALECTS = (NATIVE, SERVICES, OPENAI)
"""Every HTTP interface. A new one is a folder here and an entry."""
THREADS = 32


def create_app(backend: Backend, *, echo_request_id: bool = True) -> FastAPI:
    """Build the application over a backend.

    ``echo_request_id`` is off where a proxy in front adds ``x-request-id`` to responses already.
    """
    app = FastAPI(**openapi.DESCRIPTION, redoc_url=None, redirect_slashes=False)
    app.state.backend = backend
    for router in [router for dialect in DIALECTS for router in dialect.routers]:
        app.include_router(router)
    errors.install(app, {dialect.path: dialect.error_format for dialect in DIALECTS if dialect.path})
    methods.install(app)
    tags = [tag for dialect in DIALECTS for tag in dialect.tags]
    openapi.install(app, tags, keys_required=backend.config.auth.required)
    # The last one added is the outermost: every failure inside gets a request id and CORS headers.
    guarded = backend.config.auth.required
    if guarded:
        app.add_middleware(RequireKey, keys=Keys(backend.store.database))
    else:
        app.add_middleware(RequireHost, config=backend.config.http)
    app.add_middleware(errors.ErrorBoundary)
    cors = partial(
        CORSMiddleware if guarded else OwnOrigins,
        allow_methods=["*"],
        allow_headers=["*"],
        allow_private_network=True,  # browsers ask this for pages of the Internet
        expose_headers=[HEADER, *(name for dialect in DIALECTS for name in dialect.exposed_headers)],
    )
    further = {dialect.path: dialect.origins for dialect in DIALECTS if dialect.origins}
    app.add_middleware(OriginsByPath, cors=cors, origins=allowed_origins(backend.config), further=further)
    app.add_middleware(RequestLog, echo=echo_request_id)
    app.add_middleware(BackpressureMiddleware)
    return app


def open_backend(config: AppConfig, handles: Mapping[str, DeploymentHandle]) -> Backend:
    """Open the stores of a configuration, after creating or upgrading their tables. Blocking."""
    store = ArtifactStore.open(config.storage)
    store.database.migrate()
    durable.migrate(config.storage.database_url)
    registry = Registry.from_config(config)
    voices = VoiceStore(store, config.voices, config.limits)
    queue = JobQueue(config.jobs, registry, store, voices, durable.connect(config.storage.database_url))
    control = ServeModelControl(registry, handles, DesiredVariants(store.database))
    direct = ServeModels(
        {name: ServeModel(handle) for name, handle in handles.items()},
        max_concurrent=config.http.max_direct,
        tries=config.jobs.step_attempts,
    )
    return Backend(config, registry, store, voices, queue, control, direct)


@serve.ingress()
class Ingress:
    """The ingress deployment. Each replica builds its own application, so that nothing of it is pickled."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, config: AppConfig, models: dict[str, DeploymentHandle], runner: DeploymentHandle
    ) -> None:
        """Start a replica.

        ``runner`` is never called: taking its handle is what makes it part of the application.

        Raises:
            ValueError: Ray Serve's HTTP host is not loopback, and the configuration requires no API keys.
        """
        configure_logging()
        # asyncio's default is a few threads on a small machine: open event streams, which poll the database,
        # would hold up uploads.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, "ingress"))
        check_binding(config.auth, await asyncio.to_thread(_http_host))
        self._backend = await asyncio.to_thread(open_backend, config, models)
        self._runner = runner

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Build the application; Ray Serve calls this once the replica is constructed."""
        return create_app(self._backend, echo_request_id=False)


def _http_host() -> str | None:
    """Return the address that Serve's HTTP binds, or None if it is off; there is no public call for it."""
    from ray.serve.context import _get_global_client  # noqa: PLC0415

    host: str | None = _get_global_client().http_config.host
    return host
