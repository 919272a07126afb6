"""Speech that comes back from a replica instead of being stored, and the speed that is asked of it."""

import pickle

import numpy as np
import pytest

from deployments.audio import files as audio
from deployments.config import AppConfig
from tests.deployments.replica.toy_replicas import Reader, call, events_of, stored, until
from tests.support.sounds import level_db, peak_frequency


async def spoken(replica, **fields):
    wanted = call(parameters={"files": True}, **fields) | {"return_audio": True}
    *_, last = [event async for event in replica.run(wanted)]
    return last


async def test_audio_comes_back_and_nothing_is_stored(replica_of):
    replica = replica_of()
    last = await spoken(replica)
    assert stored(replica) == []
    assert (last["type"], last["weights"], last["result"]["duration"]) == ("result", "random", 1.0)
    assert "artifacts" not in last
    carried = last["audio"]
    assert (carried["sample_rate"], carried["channels"]) == (8000, 1)
    samples = np.frombuffer(carried["samples"], "<f4")
    np.testing.assert_array_equal(samples, np.sin(np.linspace(0, 300, 8000, dtype=np.float32)))


async def test_it_comes_as_plain_data(replica_of):
    """Whatever versions of libraries the replica's environment has, the caller's read it."""
    assert b"numpy" not in pickle.dumps(await spoken(replica_of()))


async def test_a_run_without_audio_says_so(replica_of):
    *_, last = [event async for event in replica_of().run(call() | {"return_audio": True})]
    assert (last["type"], last["error"]["code"]) == ("error", "internal_error")


async def test_audio_that_nobody_fetched_is_let_go(replica_of):
    replica = replica_of()
    replica._model.gate.clear()
    reader = Reader(replica, parameters={"hold": True, "files": True})
    await until(replica._model.started.is_set)
    await reader.cut_off()
    assert (await replica.status())["ongoing"] == 0


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.5, 4.0])
async def test_what_a_model_lacks_of_the_speed_is_made_up_for(replica_of, speed):
    last = await spoken(replica_of(), speed=speed)
    samples = np.frombuffer(last["audio"]["samples"], "<f4")
    assert len(samples) == round(8000 / speed)
    assert last["result"]["duration"] == pytest.approx(1 / speed)
    assert last["timings"]["audio_seconds"] == pytest.approx(1 / speed)
    hz = 300 / (2 * np.pi)
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    assert peak_frequency(middle, 8000) == pytest.approx(hz, rel=0.02)
    assert level_db(middle) == pytest.approx(-3, abs=0.5)


async def test_speed_holds_for_what_is_stored(replica_of):
    replica = replica_of()
    *_, last = await events_of(replica, speed=2.0, parameters={"files": True})
    speech, words = replica._store.get_many(last["artifacts"])
    assert (speech.duration, last["result"]["duration"], words.bytes) == (0.5, 0.5, 5)
    with replica._store.local(speech.id) as path:
        samples, rate = audio.decode(path, limits=AppConfig(models={}).limits)
    assert (samples.shape, rate) == ((1, 4000), 8000)


async def test_a_model_with_a_speed_of_its_own_is_left_alone(replica_of, monkeypatch):
    replica = replica_of()
    monkeypatch.setattr(replica._model, "native_speed", lambda speed: min(speed, 2.0))
    assert (await spoken(replica, speed=2.0))["result"]["duration"] == 1.0
    assert (await spoken(replica, speed=4.0))["result"]["duration"] == 0.5
