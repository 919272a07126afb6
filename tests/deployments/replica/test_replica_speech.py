"""Speech that a replica returns instead of storing it, and the requested speed of speech."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audiograph.schemas import Artifact
from deployments.audio import files as audio
from deployments.config import AppConfig
from deployments.models.base import Samples
from deployments.replica.protocol import Result
from tests.deployments.replica.toy_replicas import (
    Reader,
    ToyReplica,
    error_of,
    result_of,
    stored,
    until,
)
from tests.support.sounds import level_db, peak_frequency

ReplicaOf = Callable[..., ToyReplica]


async def spoken(replica: ToyReplica, **fields: Any) -> Result:
    return await result_of(replica, parameters={"files": True}, return_audio=True, **fields)


def samples_of(result: Result) -> Samples:
    assert result["audio"] is not None
    return np.frombuffer(result["audio"]["samples"], "<f4")


async def test_audio_comes_back_and_nothing_is_stored(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    last = await spoken(replica)
    assert stored(replica) == []
    assert (last["type"], last["weights"], last["result"]["duration"]) == ("result", "random", 1.0)
    assert last["artifacts"] == []
    assert last["audio"] is not None
    assert (last["audio"]["sample_rate"], last["audio"]["channels"]) == (8000, 1)
    np.testing.assert_array_equal(samples_of(last), np.sin(np.linspace(0, 300, 8000, dtype=np.float32)))


async def test_it_comes_as_plain_data(replica_of: ReplicaOf) -> None:
    """The caller can read it with other versions of the libraries than the replica has."""
    assert b"numpy" not in pickle.dumps(await spoken(replica_of()))


async def test_a_run_without_audio_says_so(replica_of: ReplicaOf) -> None:
    error = await error_of(replica_of(), return_audio=True)
    assert error["code"] == "internal_error"


async def test_audio_that_was_not_read_is_dropped(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    replica.model.gate.clear()
    reader = Reader(replica, parameters={"hold": True, "files": True})
    await until(replica.model.started.is_set)
    await reader.cut_off()
    assert (await replica.status())["ongoing"] == 0


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.5, 4.0])
async def test_the_speed_that_a_model_does_not_apply_is_time_stretched(
    replica_of: ReplicaOf, speed: float
) -> None:
    last = await spoken(replica_of(), speed=speed)
    samples = samples_of(last)
    assert len(samples) == round(8000 / speed)
    assert last["result"]["duration"] == pytest.approx(1 / speed)
    assert last["timings"]["audio_seconds"] == pytest.approx(1 / speed)
    hz = 300 / (2 * np.pi)
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    assert peak_frequency(middle, 8000) == pytest.approx(hz, rel=0.02)
    assert level_db(middle) == pytest.approx(-3, abs=0.5)


async def test_speed_holds_for_what_is_stored(replica_of: ReplicaOf) -> None:
    replica = replica_of()
    last = await result_of(replica, speed=2.0, parameters={"files": True})
    speech, words = replica.store.get_many(last["artifacts"])
    assert isinstance(speech, Artifact)
    assert (speech.duration, last["result"]["duration"], words.bytes) == (0.5, 0.5, 5)
    with replica.store.local(speech.id) as path:
        samples, rate = audio.decode(path, limits=AppConfig(models={}).limits)
    assert (samples.shape, rate) == ((1, 4000), 8000)


async def test_a_model_with_a_speed_of_its_own_is_left_alone(
    replica_of: ReplicaOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = replica_of()
    monkeypatch.setattr(replica.model, "native_speed", lambda speed: min(speed, 2.0))
    assert (await spoken(replica, speed=2.0))["result"]["duration"] == 1.0
    assert (await spoken(replica, speed=4.0))["result"]["duration"] == 0.5
