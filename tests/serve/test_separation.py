"""Separation from the upload to the stems, by signal processing and by Demucs."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiograph import Audiograph
from audiograph.errors import InvalidRequest, JobCanceled, JobFailed, ModelUnavailable
from audiograph.schemas import Job, SeparateResult
from tests.support.server import Server
from tests.support.sounds import Samples, speech_like, tone, wav_bytes

pytestmark = pytest.mark.cluster

PATIENCE = 120.0
RATE = 44_100


def song(seconds: float = 2.0) -> Samples:
    """Generate a tone on the left and noise in the center, ``[2, frames]``."""
    noise = speech_like(seconds=seconds, sample_rate=RATE)
    return np.concatenate([noise + tone(seconds=seconds), noise])


def stems_of(client: Audiograph, job: Job) -> dict[str, NDArray[np.float64]]:
    """Decode the artifacts that a result names to samples ``[frames, channels]``, by stem."""
    assert isinstance(job.result, SeparateResult)
    contents = {artifact.name: client.artifacts.download(artifact) for artifact in job.artifacts}
    assert set(job.result.stems.values()) == set(contents)
    return {
        stem: soundfile.read(io.BytesIO(contents[name]), always_2d=True)[0]
        for stem, name in job.result.stems.items()
    }


def scratch_files(server: Server) -> list[str]:
    """Return the deleted scratch files that the server's processes still hold open."""
    links = [link for process in server.processes() for link in _open_files(process.pid)]
    return [link for link in links if "/scratch/" in link]


def _open_files(pid: int) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").glob("*"):
        try:
            found.append(str(entry.readlink()))
        except OSError:  # closed in the meantime
            continue
    return found


@pytest.mark.parametrize("variant", ["harmonic_percussive", "center_channel"])
def test_without_weights_stems_add_up_to_the_song(client: Audiograph, variant: str) -> None:
    samples = song()
    job = client.separate(wav_bytes(samples), variant=variant, timeout=PATIENCE)
    assert (job.model, job.variant, job.weights) == ("hpss", variant, "none")
    assert isinstance(job.result, SeparateResult)
    assert job.result.notes == []
    stems = stems_of(client, job)
    assert len(stems) == 2
    assert np.abs(sum(stems.values()) - samples.T).max() < 1e-4
    assert {artifact.duration for artifact in job.artifacts} == {2.0} == {job.result.duration}


def test_demucs_gives_stems_of_the_songs_rate_and_length(client: Audiograph) -> None:
    content = wav_bytes(song(1.5), 22_050)
    seen: list[str | None] = []
    job = client.separate(
        content, model="demucs", on_progress=lambda event: seen.append(event.stage), timeout=PATIENCE
    )
    assert (job.variant, job.weights) == ("htdemucs", "random")
    stems = stems_of(client, job)
    assert list(stems) == ["drums", "bass", "other", "vocals"]
    assert {samples.shape for samples in stems.values()} == {(66_150, 2)}
    assert {(artifact.sample_rate, artifact.media_type) for artifact in job.artifacts} == {
        (22_050, "audio/wav")
    }
    assert "separating" in seen

    pair = client.separate(content, model="demucs", two_stems="bass", format="flac", timeout=PATIENCE)
    assert {artifact.name for artifact in pair.artifacts} == {"bass.flac", "no_bass.flac"}
    step = 2.0**-15
    assert np.abs(stems_of(client, pair)["bass"] - stems["bass"]).max() <= step
    again = client.separate(content, model="demucs", timeout=PATIENCE)
    assert {artifact.sha256 for artifact in again.artifacts} == {
        artifact.sha256 for artifact in job.artifacts
    }


@pytest.mark.parametrize(
    ("fields", "field", "fault"),
    [
        ({"stems": ["vocals"]}, "stems.0", "harmonic, percussive"),
        ({"model": "demucs", "stems": ["guitar"]}, "stems.0", "drums, bass, other, vocals"),
        ({"model": "demucs", "segment": 20}, "segment", "7.8 s"),
        ({"model": "demucs", "stems": ["bass"], "two_stems": "bass"}, "two_stems", "exclude"),
    ],
)
def test_impossible_stems_and_segments_are_refused_before_there_is_a_job(
    client: Audiograph, fields: dict[str, Any], field: str, fault: str
) -> None:
    with pytest.raises(InvalidRequest, match=fault) as refusal:
        client.jobs.submit("separate", file=client.files.upload(wav_bytes()).id, **fields)
    assert (refusal.value.field, refusal.value.status) == (field, 422)


def test_quantized_weights_name_the_missing_package(client: Audiograph) -> None:
    with pytest.raises(ModelUnavailable, match="diffq"):
        client.separate(wav_bytes(), model="demucs", variant="mdx_q")


def test_mono_has_no_sides(client: Audiograph) -> None:
    with pytest.raises(JobFailed, match="needs a stereo file"):
        client.separate(wav_bytes(), variant="center_channel", timeout=PATIENCE)


def test_a_running_separation_stops_and_leaves_nothing_on_disk(client: Audiograph, server: Server) -> None:
    minutes = client.files.upload(wav_bytes(np.tile(song(60.0), 5))).id
    job = client.separate(minutes, model="demucs", wait=False)
    for event in client.jobs.events(job, timeout=PATIENCE):
        if event.stage == "separating" and (event.progress or 0) > 0.05:
            break
    assert scratch_files(server)
    client.jobs.cancel(job)
    with pytest.raises(JobCanceled):
        client.jobs.wait(job, timeout=PATIENCE)
    assert (
        client.separate(wav_bytes(), model="demucs", stems=["bass"], timeout=PATIENCE).status == "succeeded"
    )
    stopped = client.jobs.get(job)
    assert (stopped.status, stopped.artifacts) == ("canceled", [])
    assert stopped.progress < 1.0
    assert scratch_files(server) == []
