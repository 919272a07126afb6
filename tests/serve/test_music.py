"""MusicGen on the real server, with tiny random weights: noise of the right length and format."""

import io
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiograph import Audiograph
from audiograph.errors import InvalidRequest, JobCanceled, JobFailed
from tests.support.sounds import wav_bytes

pytestmark = pytest.mark.cluster


def decoded(client: Audiograph, job: Any) -> tuple[NDArray[np.float64], int]:
    """Decode a job's music to samples ``[frames]`` or ``[frames, channels]``, and their rate in Hz."""
    samples, rate = soundfile.read(io.BytesIO(client.artifacts.download(job.artifacts[0])))
    return samples, rate


def test_music_has_its_duration_and_is_the_same_for_the_same_seed(client: Audiograph) -> None:
    first, again = (client.generate_music("a slow waltz", duration=2.5, seed=11) for _ in range(2))
    samples, rate = decoded(client, first)
    assert (len(samples), rate) == (80_000, 32_000)
    assert (first.result.seed, first.result.duration, first.weights) == (11, 2.5, "random")
    assert first.artifacts[0].sha256 == again.artifacts[0].sha256


def test_requests_of_many_lengths_share_a_batch(client: Audiograph) -> None:
    """Check that a request's music does not depend on the other requests of its batch."""

    def generate(seed: int) -> str:
        job = client.generate_music("jazz", duration=0.5 + seed % 3, seed=seed, temperature=0.5 + seed / 10)
        assert len(decoded(client, job)[0]) == round((0.5 + seed % 3) * 32_000)
        return job.artifacts[0].sha256

    with ThreadPoolExecutor(12) as threads:
        together = list(threads.map(generate, range(12)))
    assert together[::5] == [generate(seed) for seed in range(0, 12, 5)]


def test_a_melody_and_a_beginning(client: Audiograph) -> None:
    tune = client.files.upload(wav_bytes(seconds=1.0), name="tune.wav")
    fields: dict[str, Any] = {"file": tune.id, "duration": 1.5}
    followed = client.generate_music("strings", variant="stereo-melody", format="flac", **fields)
    samples, _ = decoded(client, followed)
    assert samples.shape == (48_000, 2)
    continued = client.generate_music("strings", **fields)
    assert len(decoded(client, continued)[0]) == 48_000
    assert any("begins with the file" in note for note in continued.result.notes)
    with pytest.raises((InvalidRequest, JobCanceled, JobFailed), match="already has 1 s"):
        client.generate_music("strings", file=tune.id, duration=0.8)


def test_a_running_request_is_canceled_and_another_of_its_batch_continues(client: Audiograph) -> None:
    long = client.generate_music("endless", duration=280, wait=False)
    other = client.generate_music("short", duration=1.0, wait=False)
    for event in client.jobs.events(long.id):
        if event.type == "progress" and event.progress:
            break
    client.jobs.cancel(long.id)
    with pytest.raises(JobCanceled):
        client.jobs.wait(long.id, timeout=30)
    assert client.jobs.wait(other.id, timeout=60).status == "succeeded"
    deadline = time.monotonic() + 30
    while client.models.get("musicgen").replicas[0].ongoing:
        assert time.monotonic() < deadline, "the canceled request is still running"
        time.sleep(0.1)


def test_a_field_out_of_range_is_refused(client: Audiograph) -> None:
    for fields, named in (({"duration": 0.1}, "duration"), ({"top_k": -1}, "top_k"), ({"bpm": 1000}, "bpm")):
        with pytest.raises(InvalidRequest) as refused:
            client.generate_music("x", **fields)
        assert refused.value.field == named
