"""The stores, queue and models behind every route; `BackendDep` hands them to a route."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends
from starlette.requests import HTTPConnection

from audiograph.errors import Conflict
from audiograph.schemas import CreateVoiceRequest, LoadReport, Replica, VoiceInfo
from deployments.config import AppConfig
from deployments.ingress.direct import DirectModels
from deployments.jobs.queue import JobQueue
from deployments.models.registry import ModelCard, Registry
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.voices import VoiceStore


class ModelControl(Protocol):
    """Operator's control over the replicas of the models."""

    async def status(self, name: str) -> list[Replica]:
        """Return the live replicas of a model; none if it is scaled to zero."""
        ...

    async def load(self, name: str, variant: str | None) -> LoadReport:
        """Load a variant (the default if None) on every live replica, or on a new one if none is live.

        Raises:
            ModelUnavailable: the model lacks a package, or no replica could load it.
        """
        ...

    async def unload(self, name: str, variant: str | None) -> LoadReport:
        """Unload a variant (all if None) from every live replica, once its running work has ended."""
        ...


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Backend:
    """Everything behind the routes; a test passes its own."""

    config: AppConfig
    registry: Registry
    store: ArtifactStore
    voices: VoiceStore
    queue: JobQueue
    models: ModelControl
    direct: DirectModels

    async def all_voices(self) -> list[VoiceInfo]:
        """List the built-in voices of every model, then the recorded ones."""
        return await asyncio.to_thread(self._all_voices)

    def create_voice(self, request: CreateVoiceRequest) -> VoiceInfo:
        """Create a voice from a recording. Blocking.

        Raises:
            Conflict: there is a recorded voice of that name, or every model that clones voices has one of its
                own, which goes first.
            RequestError: see `VoiceStore.create`.
        """
        cloning = [card for card in self.registry.cards.values() if card.clones_voices]
        if cloning and not any(self._finds(card, request.name) for card in cloning):
            names = ", ".join(card.name for card in cloning)
            raise Conflict(
                f"name {request.name!r} would never be found: each model that clones voices ({names}) has a "
                "voice of its own by that name; choose another name",
                field="name",
            )
        return self.with_models(self.voices.create(request.name, request.file, request.transcript))

    def with_models(self, voice: VoiceInfo) -> VoiceInfo:
        """Fill in the models that can speak in a recorded voice."""
        models = [
            card.name
            for card in self.registry.cards.values()
            if self._finds(card, voice.name) and (voice.transcript or not card.needs_transcripts)
        ]
        return voice.model_copy(update={"models": models})

    def _finds(self, card: ModelCard, name: str) -> bool:
        """Return whether a name in a request to a model means a recorded voice; the model's own go first."""
        return card.clones_voices and not self.registry.own_voice(card.name, name)

    def _all_voices(self) -> list[VoiceInfo]:
        built_in = [
            VoiceInfo(**voice.model_dump(), source="built-in", models=[name])
            for name in self.registry.cards
            for voice in self.registry.voices(name)
        ]
        return [*built_in, *(self.with_models(voice) for voice in self.voices.list())]


async def _backend(connection: HTTPConnection) -> Backend:
    backend: Backend = connection.app.state.backend
    return backend


BackendDep = Annotated[Backend, Depends(_backend)]
