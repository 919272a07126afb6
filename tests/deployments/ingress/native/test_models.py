"""The model list, and load and unload through (imitated) deployment handles."""

import asyncio
from typing import Any

import httpx
import pytest
from ray.exceptions import RayActorError, RayTaskError
from ray.serve._private.common import DeploymentID
from ray.serve.exceptions import DeploymentUnavailableError

from audiograph.errors import InvalidRequest, ModelUnavailable, NotFound, WeightsMissing
from audiograph.schemas import LoadedVariant, Replica
from deployments.ingress import model_control
from deployments.ingress.backend import Backend
from deployments.ingress.model_control import ServeModelControl
from deployments.storage.desired import DesiredVariants

STATUS = {"id": "r1", "device": "cpu", "memory_bytes": 5, "ongoing": 0, "loaded": []}


def change(replica: str, size: int) -> dict[str, Any]:
    return {"replica": replica, "changed": True, "variants": ["base"], "bytes": size}


class Handle:
    """Answers like a deployment handle: one outcome for each live replica."""

    def __init__(self, *outcomes: Any, start: Any = None) -> None:
        self._outcomes = outcomes
        self._start = start
        self.calls: list[tuple[Any, ...]] = []
        self.load = self

    def broadcast(self, *call: Any) -> "Handle":
        self.calls.append(call)
        return self

    async def results_async(self, *, timeout_s: float, return_exceptions: bool) -> list[Any]:
        if not self._outcomes:
            raise DeploymentUnavailableError(DeploymentID("listener", "app"))
        if self._outcomes == ("slow",):
            await asyncio.sleep(timeout_s)
            raise TimeoutError
        return list(self._outcomes)

    async def remote(self, variant: str) -> Any:
        self.calls.append(("start", variant))
        if isinstance(self._start, Exception):
            raise self._start
        return self._start


def control(backend: Backend, handle: Handle) -> ServeModelControl:
    handles: Any = dict.fromkeys(backend.registry.cards, handle)
    return ServeModelControl(backend.registry, handles, DesiredVariants(backend.store.database))


def task_error(cause: Exception) -> RayTaskError:
    return RayTaskError("load", "Traceback …", cause)


async def test_models_are_listed_in_the_shape_of_openai(client: httpx.AsyncClient, backend: Backend) -> None:
    loaded = LoadedVariant(variant="base", weights="pretrained", bytes=1, users=0, idle_seconds=1)
    replica = Replica.model_validate(STATUS | {"loaded": [loaded]})
    backend.models.replicas["listener"] = [replica]  # type: ignore[attr-defined]
    listed = (await client.get("/v1/models")).json()
    assert listed["object"] == "list"
    listener, speaker, _, absent = listed["data"]
    assert (listener["id"], listener["object"], listener["owned_by"]) == ("listener", "model", "audiograph")
    assert (listener["tasks"], listener["variants"]) == (["transcribe"], ["tiny", "base"])
    assert listener["replicas"][0]["loaded"][0]["variant"] == "base"
    assert [model["weights"] for model in listed["data"]] == ["pretrained", "none", "none", "random"]
    assert [voice["id"] for voice in speaker["voices"]] == ["en-us", "en-gb"]
    assert (absent["available"], absent["message"]) == (False, "install the package that it needs")
    assert (await client.get("/v1/models/speaker")).json() == speaker


@pytest.mark.parametrize("sections", [{"weights": "auto"}])
@pytest.mark.parametrize(("reachable", "weights"), [(True, "pretrained"), (False, "random")])
async def test_random_weights_are_announced_before_they_are_loaded(
    client: httpx.AsyncClient, monkeypatch: Any, reachable: bool, weights: str
) -> None:
    monkeypatch.setattr("deployments.models.weights.supply.hub_reachable", lambda *_: reachable)
    assert (await client.get("/v1/models/listener")).json()["weights"] == weights


async def test_load_and_unload_take_a_variant_or_none(client: httpx.AsyncClient, backend: Backend) -> None:
    report = (await client.post("/v1/models/listener/load", json={"variant": "base"})).json()
    assert (report["action"], report["variant"], report["bytes"]) == ("load", "base", 10)
    assert (await client.post("/v1/models/listener/load")).status_code == 200
    assert (await client.post("/v1/models/listener/unload", json={})).status_code == 200
    assert backend.models.asked == [  # type: ignore[attr-defined]
        ("load", "listener", "base"),
        ("load", "listener", None),
        ("unload", "listener", None),
    ]
    refused = await client.post("/v1/models/listener/load", json={"varient": "base"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "varient")
    assert "did you mean 'variant'?" in refused.json()["error"]["message"]


async def test_a_load_reaches_every_replica_and_is_remembered(backend: Backend) -> None:
    handle = Handle(change("r1", 100), change("r2", 50))
    report = await control(backend, handle).load("listener", "base")
    assert (report.bytes, [c.replica for c in report.replicas]) == (150, ["r1", "r2"])
    assert handle.calls == [("load", "base")]
    assert DesiredVariants(backend.store.database).desired("listener") == {"base": True}


async def test_a_load_without_a_replica_starts_one(backend: Backend) -> None:
    handle = Handle(start=change("new", 7))
    report = await control(backend, handle).load("listener", None)
    assert (report.variant, report.bytes) == ("tiny", 7)
    assert handle.calls == [("load", "tiny"), ("start", "tiny")]


async def test_an_unload_without_a_replica_is_a_wish_for_later(backend: Backend) -> None:
    report = await control(backend, Handle()).unload("listener", None)
    assert (report.replicas, report.bytes) == ([], 0)
    assert DesiredVariants(backend.store.database).desired("listener") == {"tiny": False, "base": False}


async def test_what_a_replica_refuses_is_raised_as_it_was(backend: Backend) -> None:
    broken = task_error(WeightsMissing("no weights of base"))
    for handle in (Handle(change("r1", 1), broken), Handle(start=broken)):
        with pytest.raises(WeightsMissing, match="no weights of base"):
            await control(backend, handle).load("listener", "base")


async def test_a_replica_that_dies_is_passed_over(backend: Backend) -> None:
    report = await control(backend, Handle(RayActorError(), change("r2", 3))).load("listener", "base")
    assert [c.replica for c in report.replicas] == ["r2"]
    with pytest.raises(ModelUnavailable, match="died"):
        await control(backend, Handle(RayActorError(), start=RayActorError())).load("listener", "base")


async def test_a_load_does_not_wait_for_ever(backend: Backend, monkeypatch: Any) -> None:
    monkeypatch.setattr(model_control, "CHANGE_SECONDS", 0.01)
    with pytest.raises(ModelUnavailable, match="continues; ask again later"):
        await control(backend, Handle("slow")).load("listener", "base")


async def test_unknown_names_and_missing_packages_are_refused(backend: Backend) -> None:
    models = control(backend, Handle())
    with pytest.raises(NotFound, match="listener, speaker, cloner, absent"):
        await models.load("nothing", None)
    with pytest.raises(InvalidRequest, match=r"did you mean 'base'.*tiny, base"):
        await models.load("listener", "bas")
    with pytest.raises(InvalidRequest, match="tiny, base"):
        await models.unload("listener", "huge")
    with pytest.raises(ModelUnavailable, match="install the package"):
        await models.load("absent", None)


async def test_status_tells_of_the_replicas_that_answer(backend: Backend, monkeypatch: Any) -> None:
    monkeypatch.setattr(model_control, "STATUS_SECONDS", 0.01)
    found = await control(backend, Handle(STATUS, RayActorError())).status("listener")
    assert [replica.id for replica in found] == ["r1"]
    assert await control(backend, Handle()).status("listener") == []
    assert await control(backend, Handle("slow")).status("listener") == []
