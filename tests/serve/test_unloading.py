"""Repeated loading and unloading: memory is freed each time, and no request is lost."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from audiograph import Audiograph
from audiograph.schemas import AnyRequest, DialogueRequest, SpeakRequest, Turn

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

MODELS = [
    "pitch_analysis",
    "whisper",
    "musicgen",
    "hpss",
    "demucs",
    "kokoro",
    "espeak",
    "dia",
    "higgs",
    "chatterbox",
    "mock",
]
MANY_TIMES = 10
FEW = 5
PATIENCE = 300
SHORT = {"max_new_tokens": 40}
TURNS = [Turn(text="Hello."), Turn(text="Hi.")]

REQUESTS: dict[str, Callable[[], AnyRequest]] = {
    "kokoro": lambda: SpeakRequest(model="kokoro", text="Hello."),
    "espeak": lambda: SpeakRequest(model="espeak", text="Hello."),
    "dia": lambda: DialogueRequest(model="dia", turns=TURNS, parameters=SHORT),
    "higgs": lambda: SpeakRequest(model="higgs", text="Hello.", parameters=SHORT),
    "chatterbox": lambda: SpeakRequest(model="chatterbox", text="Hello.", parameters=SHORT),
    "mock": lambda: SpeakRequest(model="mock", text="Hello."),
}


def memory_after(client: Audiograph, model: str, times: int) -> int:
    """Load and unload a model several times; return the bytes that its replica uses then."""
    for _ in range(times):
        assert [change.changed for change in client.models.load(model).replicas] == [True]
        assert [change.changed for change in client.models.unload(model).replicas] == [True]
    (replica,) = client.models.get(model).replicas
    assert replica.loaded == []
    return replica.memory_bytes


@pytest.mark.parametrize("model", MODELS)
def test_memory_is_freed_each_time(client: Audiograph, model: str) -> None:
    client.models.load(model)  # start the replica
    client.models.unload(model)
    before = memory_after(client, model, 1)
    after = memory_after(client, model, MANY_TIMES)
    assert after < 1.05 * before, f"{before / 2**20:.0f} MiB became {after / 2**20:.0f} MiB"


@pytest.mark.parametrize("model", list(REQUESTS))
def test_no_request_is_lost_while_its_model_is_unloaded(client: Audiograph, model: str) -> None:
    with ThreadPoolExecutor(FEW) as threads:
        jobs = [client.jobs.submit(REQUESTS[model]()) for _ in range(FEW)]
        unloading = [threads.submit(client.models.unload, model) for _ in range(FEW)]
        jobs += [client.jobs.submit(REQUESTS[model]()) for _ in range(FEW)]
        reports = [unload.result() for unload in unloading]
    assert {client.jobs.wait(job, timeout=PATIENCE).status for job in jobs} == {"succeeded"}
    assert {report.action for report in reports} == {"unload"}
