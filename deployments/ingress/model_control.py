"""Operates the models' replicas through Ray Serve's deployment handles."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from audiograph.errors import AudiographError, InvalidRequest, ModelUnavailable
from audiograph.schemas import LoadReport, Replica, ReplicaChange
from deployments.ingress.http.validation import unknown
from deployments.models.registry import ModelCard, Registry
from deployments.storage.desired import DesiredVariants

STATUS_SECONDS = 2.0
"""Time limit of a replica's status; a slower one is left out of the list."""
CHANGE_SECONDS = 600.0
"""Time limit of a load, which may fetch gigabytes, and of an unload, which waits for running work."""

logger = logging.getLogger(__name__)


class ServeModelControl:
    """`ModelControl` of a running application, with one handle for each configured model."""

    def __init__(
        self, registry: Registry, handles: Mapping[str, DeploymentHandle], desired: DesiredVariants
    ) -> None:
        self._registry = registry
        self._handles = handles
        self._desired = desired

    async def status(self, name: str) -> list[Replica]:
        """Return the live replicas of a model that answer in time; none if it is scaled to zero."""
        self._registry.card(name)
        try:
            found = await self._broadcast(name, "status", seconds=STATUS_SECONDS)
        except TimeoutError:
            return []
        return [Replica.model_validate(one) for one in found if not isinstance(one, Exception)]

    async def load(self, name: str, variant: str | None) -> LoadReport:
        """Load a variant on every live replica, or on a new one; replicas that start later load it too.

        Raises:
            NotFound: the model does not exist.
            InvalidRequest: the model has no such variant.
            ModelUnavailable: the model lacks a package, or could not be started in time.
        """
        card = self._available(name)
        variant = _checked(card, variant or card.default_variant)
        await self._store_desired(name, [variant], loaded=True)
        changes = await self._change(name, "load", variant) or [await self._start(name, variant)]
        return _report(name, "load", variant, changes)

    async def unload(self, name: str, variant: str | None) -> LoadReport:
        """Unload a variant, or all, from every live replica; replicas that start later do not preload it.

        Raises:
            NotFound: the model does not exist.
            InvalidRequest: the model has no such variant.
        """
        card = self._registry.card(name)
        variants = [_checked(card, variant)] if variant else list(card.variants)
        await self._store_desired(name, variants, loaded=False)
        return _report(name, "unload", variant, await self._change(name, "unload", variant))

    def _available(self, name: str) -> ModelCard:
        card = self._registry.card(name)
        if card.missing:
            raise ModelUnavailable(f"model {name!r} cannot run here: {card.missing}", field="model")
        return card

    async def _store_desired(self, name: str, variants: Sequence[str], *, loaded: bool) -> None:
        for variant in variants:
            await asyncio.to_thread(self._desired.set, name, variant, loaded)

    async def _change(self, name: str, method: str, variant: str | None) -> list[ReplicaChange]:
        """Change every live replica and return their changes; a replica that died meanwhile has none.

        Raises:
            AudiographError: a replica's own error.
            ModelUnavailable: a replica did not answer in time.
        """
        try:
            found = await self._broadcast(name, method, variant, seconds=CHANGE_SECONDS)
        except TimeoutError as error:
            raise _slow(name, method) from error
        return [ReplicaChange.model_validate(one) for one in map(_outcome, found) if one is not None]

    async def _start(self, name: str, variant: str) -> ReplicaChange:
        """Load a variant by an ordinary call, for which Serve starts a replica if none is live."""
        response = self._handles[name].load.remote(variant)
        try:
            outcome = await asyncio.wait_for(response, CHANGE_SECONDS)
        except TimeoutError as error:
            raise _slow(name, "load") from error
        except (RayTaskError, RayActorError) as error:
            outcome = _outcome(error)
        if outcome is None:
            raise ModelUnavailable(f"the replica that was started for {name!r} died at once; see its log")
        return ReplicaChange.model_validate(outcome)

    async def _broadcast(self, name: str, method: str, *arguments: Any, seconds: float) -> list[Any]:
        """Call a method on every live replica; returns their results or exceptions."""
        response = self._handles[name].broadcast(method, *arguments)
        try:
            answers: list[Any] = await response.results_async(timeout_s=seconds, return_exceptions=True)
        except DeploymentUnavailableError:
            return []
        return answers


def _outcome(answer: Any) -> Any:
    """Return a replica's answer, or None if it died; raise the error that it raised."""
    if isinstance(answer, RayActorError):
        logger.warning("a replica died during a load or unload: %s", answer)
        return None
    cause = getattr(answer, "cause", answer)
    if isinstance(cause, AudiographError):
        raise cause
    if isinstance(answer, Exception):
        raise answer
    return answer


def _slow(name: str, method: str) -> ModelUnavailable:
    message = (
        f"{method} of {name!r} has not ended within {CHANGE_SECONDS:.0f} s and continues; ask again later"
    )
    return ModelUnavailable(message, retry_after=60)


def _checked(card: ModelCard, variant: str) -> str:
    if variant not in card.variants:
        raise InvalidRequest(unknown(f"variant of {card.name!r}", variant, card.variants), field="variant")
    return variant


def _report(
    name: str, action: Literal["load", "unload"], variant: str | None, changes: list[ReplicaChange]
) -> LoadReport:
    total = sum(change.bytes for change in changes)
    return LoadReport(model=name, action=action, variant=variant, replicas=changes, bytes=total)
