"""What the routes work with: one `Services` per application, handed to each route by `Injected`."""

from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends
from starlette.requests import HTTPConnection

from audiograph.schemas import LoadReport, Replica
from deployments.config import AppConfig
from deployments.ingress.direct import DirectModels
from deployments.ingress.openai.coalescing import Shared
from deployments.ingress.openai.streaming import SpeechPart
from deployments.jobs.queue import JobQueue
from deployments.models.registry import Registry
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.voices import VoiceStore


class ModelControl(Protocol):
    """What an operator can see and change of the models' replicas."""

    async def status(self, name: str) -> list[Replica]:
        """The live replicas of a model; empty if it is scaled to zero."""
        ...

    async def load(self, name: str, variant: str | None) -> LoadReport:
        """Load a variant (the default if None) on every live replica, or on a new one if there is none.

        Raises:
            ModelUnavailable: it lacks a package, or no replica could do it.
        """
        ...

    async def unload(self, name: str, variant: str | None) -> LoadReport:
        """Unload a variant (all of them if None) from every live replica, once its running work has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """Everything behind the routes; a test passes its own."""

    config: AppConfig
    registry: Registry
    store: ArtifactStore
    voices: VoiceStore
    queue: JobQueue
    models: ModelControl
    direct: DirectModels
    speeches: Shared[SpeechPart] = field(default_factory=Shared)
    """Those that are being made for OpenAI's clients."""


async def _of(connection: HTTPConnection) -> Services:
    services: Services = connection.app.state.services
    return services


Injected = Annotated[Services, Depends(_of)]
