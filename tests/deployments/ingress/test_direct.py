"""Runs without a job, over handles that behave as replicas do."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
import pytest
from ray.exceptions import ActorUnavailableError

from audiograph.errors import InvalidAudio, ModelUnavailable, QueueFull
from audiograph.schemas import SpeakRequest
from deployments.ingress import direct
from deployments.ingress.direct import ServeModels
from deployments.replica.protocol import Call, Message

REQUEST = SpeakRequest(text="Hello.", model="toy", variant="small")
STEREO = np.array([[0.5, 0.1], [0.2, 0.2], [-0.5, 0.5]], "<f4")


class Handle:
    """Gives the events that each call in turn is to give, or raises."""

    def __init__(self, *runs: Any) -> None:
        self.runs = list(runs)
        self.calls: list[Call] = []
        self.closed = 0

    async def stream(self, call: Call) -> AsyncGenerator[Message, None]:
        self.calls.append(call)
        try:
            for event in self.runs.pop(0):
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    await asyncio.Event().wait()
                yield event
        finally:
            self.closed += 1


def result() -> dict[str, Any]:
    return {
        "type": "result",
        "result": {"task": "speak", "voice": "v", "duration": 0.1, "sample_rate": 8000, "channels": 2},
        "artifacts": [],
        "audio": {"samples": STEREO.tobytes(), "sample_rate": 8000, "channels": 2},
        "weights": "none",
        "timings": {},
    }


PROGRESS = {"type": "progress", "progress": 0.5}
DEATH = ActorUnavailableError("the replica died", None)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "FIRST_PAUSE_SECONDS", 0.0)


def models_of(handle: Handle, slots: int = 2) -> ServeModels:
    return ServeModels({"toy": handle}, max_concurrent=slots, tries=3)


async def test_audio_comes_back_as_one_channel() -> None:
    handle = Handle([PROGRESS, result()])
    spoken = await models_of(handle).speak(REQUEST)
    np.testing.assert_allclose(spoken.samples, STEREO.mean(axis=1))
    assert (spoken.sample_rate, spoken.result.voice, spoken.weights) == (8000, "v", "none")
    (call,) = handle.calls
    assert call["return_audio"] is True
    assert call["request"] == {"task": "speak", "text": "Hello.", "model": "toy", "variant": "small"}


async def test_a_dead_replica_is_followed_by_another() -> None:
    handle = Handle([DEATH], [PROGRESS, DEATH], [result()])
    await models_of(handle).speak(REQUEST)
    assert [call["attempt"] for call in handle.calls] == [1, 2, 3]
    assert len({call["job_id"] for call in handle.calls}) == 1


async def test_it_gives_up_in_the_end() -> None:
    handle = Handle([DEATH], [DEATH], [DEATH])
    with pytest.raises(ModelUnavailable, match="after 3 tries") as caught:
        await models_of(handle).speak(REQUEST)
    assert caught.value.details == {"tries": 3, "reasons": ["ActorUnavailableError"]}


async def test_what_the_model_refuses_is_not_tried_again() -> None:
    handle = Handle([{"type": "failure", "error": InvalidAudio("too short", field="voice").to_wire()}])
    with pytest.raises(InvalidAudio, match="too short") as caught:
        await models_of(handle).speak(REQUEST)
    assert (caught.value.field, handle.closed) == ("voice", 1)


@pytest.mark.parametrize("events", [[PROGRESS, None], [None]])
async def test_a_caller_who_leaves_ends_the_run(events: list[Any]) -> None:
    handle = Handle(events)
    running = asyncio.create_task(models_of(handle).speak(REQUEST))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert handle.closed == 1


def test_slots_are_counted() -> None:
    models = models_of(Handle(), slots=2)
    with models.slot(), models.slot():
        with pytest.raises(QueueFull, match="the limit is 2") as caught, models.slot():
            pass
        assert caught.value.retry_after
    with models.slot():
        pass


def test_a_slot_is_free_after_a_failure() -> None:
    models = models_of(Handle(), slots=1)
    for _ in range(2):
        with pytest.raises(InvalidAudio), models.slot():
            raise InvalidAudio("too short")
