"""Recorded voices: their preparation, their names, and paths that names must not reach."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from numpy.typing import NDArray

from audiograph.errors import Conflict, InvalidAudio, InvalidRequest, NotFound
from deployments.audio.loudness import TARGET_LUFS
from deployments.config import LimitsConfig, VoicesConfig
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.voices import VoiceStore
from tests.support.hostile import PATH_TRICKS
from tests.support.sounds import Samples, speech_like, wav_bytes

RATE = 16_000
SAID = "What is said in it."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "voices"
    (folder / "men").mkdir(parents=True)
    write(folder / "anna.wav", speech_like(seconds=3.0)[0])
    (folder / "anna.txt").write_text(f" {SAID}\n")
    write(folder / "men" / "bert.wav", speech_like(seconds=2.0, seed=1)[0])
    (folder / "notes.md").write_text("no voice")
    write(tmp_path / "secret.wav", speech_like(seconds=2.0)[0])
    (folder / "link.wav").symlink_to(tmp_path / "secret.wav")
    return folder


@pytest.fixture
def voices(store: ArtifactStore, folder: Path) -> VoiceStore:
    return VoiceStore(store, VoicesConfig(folder=folder), LimitsConfig())


def write(path: Path, samples: Samples) -> None:
    soundfile.write(path, samples, RATE)


def upload(store: ArtifactStore, samples: Samples) -> str:
    with store.writer() as writer:
        writer.write(wav_bytes(samples[None], sample_rate=RATE))
        return writer.commit_file("take.wav", "audio/wav", None).id


def stored_samples(store: ArtifactStore, artifact: str) -> tuple[NDArray[np.float64], int]:
    with store.local(artifact) as path:
        samples, sample_rate = soundfile.read(path)
    return samples, sample_rate


def test_a_voice_is_trimmed_and_brought_to_one_loudness(store: ArtifactStore, voices: VoiceStore) -> None:
    silence = np.zeros(2 * RATE, np.float32)
    file = upload(store, np.concatenate([silence, 0.02 * speech_like(seconds=3.0)[0], silence]))
    voice = voices.create("carla", file, SAID)
    assert (voice.id, voice.source, voice.transcript) == ("carla", "uploaded", SAID)
    assert voice.artifact is not None
    samples, rate = stored_samples(store, voice.artifact.id)
    assert 2.8 < len(samples) / rate < 3.3
    assert pyloudnorm.Meter(rate).integrated_loudness(samples) == pytest.approx(TARGET_LUFS, abs=0.5)

    store.delete(file)  # the voice does not depend on it
    assert voices.get("carla") == voice


@pytest.mark.parametrize(
    ("seconds", "level", "said"),
    [(0.5, 1.0, "0.. s without its silent ends; 1 to 60"), (70.0, 1.0, "70.* s"), (3.0, 0.0, "silent")],
)
def test_what_cannot_be_a_voice_is_refused_and_leaves_nothing(
    store: ArtifactStore, voices: VoiceStore, seconds: float, level: float, said: str
) -> None:
    file = upload(store, level * speech_like(seconds=seconds)[0])
    with pytest.raises(InvalidAudio, match=said):
        voices.create("carla", file)
    assert store.usage().items == 1


def test_a_name_is_given_once(store: ArtifactStore, voices: VoiceStore) -> None:
    file = upload(store, speech_like(seconds=2.0)[0])
    voices.create("carla", file)
    items = store.usage().items
    with pytest.raises(Conflict, match="carla"):
        voices.create("carla", file)
    assert store.usage().items == items
    with pytest.raises(NotFound):
        voices.create("dora", "file_" + 32 * "0")


def test_a_voice_outlives_its_jobs_and_goes_when_it_is_deleted(
    store: ArtifactStore, voices: VoiceStore
) -> None:
    artifact = voices.create("carla", upload(store, speech_like(seconds=2.0)[0])).artifact
    assert artifact is not None
    store.collect(retention_seconds=0.0, max_bytes=0)
    with pytest.raises(Conflict, match="voice:carla"):
        store.delete(artifact.id)
    assert store.pinned_jobs() == []

    store.pin("job", {artifact.id: "file"})
    voices.delete("carla")
    with pytest.raises(NotFound, match="carla"):
        voices.get("carla")
    store.collect(retention_seconds=0.0, max_bytes=0)
    assert store.get(artifact.id) == artifact  # the job still needs it
    store.unpin("job")
    store.collect(retention_seconds=0.0, max_bytes=0)
    with pytest.raises(NotFound):
        store.get(artifact.id)


def test_the_folder_is_listed_with_its_transcripts(voices: VoiceStore) -> None:
    found = {voice.id: voice for voice in voices.list()}
    assert list(found) == ["anna.wav", "men/bert.wav"]  # neither notes nor a link out of it
    assert (found["anna.wav"].source, found["anna.wav"].transcript) == ("folder", SAID)
    assert found["men/bert.wav"].transcript is None


def test_a_file_that_is_no_voice_hides_no_other(
    voices: VoiceStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF")
    write(folder / "short.wav", speech_like(seconds=0.2)[0])
    assert [voice.id for voice in voices.list()] == ["anna.wav", "men/bert.wav"]
    assert {record.args[0] for record in caplog.records} == {"broken.wav", "short.wav"}  # type: ignore[index]
    with pytest.raises(InvalidAudio, match="1 to 60 s"):
        voices.get("short.wav")


def test_a_file_of_the_folder_is_read_again_once_it_has_changed(
    voices: VoiceStore, folder: Path, store: ArtifactStore
) -> None:
    first = voices.get("anna.wav").artifact
    assert voices.get("anna.wav").artifact == first
    write(folder / "anna.wav", speech_like(seconds=5.0)[0])
    os.utime(folder / "anna.wav", (1, 1))
    second = voices.get("anna.wav").artifact
    assert first is not None
    assert second is not None
    assert second.id != first.id
    assert second.duration == pytest.approx(5.0, abs=0.3)
    with pytest.raises(Conflict, match="folder"):
        voices.delete("anna.wav")


def test_many_may_meet_a_new_file_at_once(voices: VoiceStore, store: ArtifactStore) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(voices.get, ["anna.wav"] * 8))
    assert {voice.transcript for voice in found} == {SAID}
    store.collect(retention_seconds=0.0, max_bytes=0)
    assert store.usage().items == 1  # the copies of the other threads are removed, or were never registered
    assert voices.get("anna.wav").artifact is not None


@pytest.mark.parametrize("name", [*PATH_TRICKS, "link.wav", "../secret.wav", "men/../../secret.wav"])
def test_no_name_leads_out_of_the_folder(voices: VoiceStore, name: str) -> None:
    with pytest.raises((InvalidRequest, NotFound)):
        voices.get(name)


def test_without_a_folder_there_are_only_uploads(store: ArtifactStore) -> None:
    voices = VoiceStore(store, VoicesConfig(), LimitsConfig())
    assert voices.list() == []
    with pytest.raises(NotFound):
        voices.get("anna.wav")


@pytest.mark.parametrize(
    ("name", "fault", "error"),
    [
        ("file_" + "0" * 32, "form of a file's id", InvalidRequest),
        ("art_" + "0" * 32, "form of a file's id", InvalidRequest),
        ("anna.wav", "has a file 'anna.wav' already", Conflict),
        ("link.wav", "^name 'link.wav' leads out", InvalidRequest),
    ],
)
def test_a_name_that_would_find_something_else_is_refused(
    store: ArtifactStore, voices: VoiceStore, name: str, fault: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=fault) as refused:
        voices.create(name, upload(store, speech_like(seconds=2.0)[0]))
    assert getattr(refused.value, "field", None) == "name"


def test_a_later_file_of_the_folder_does_not_replace_an_upload(
    store: ArtifactStore, voices: VoiceStore, folder: Path
) -> None:
    carla = voices.create("carla.wav", upload(store, speech_like(seconds=2.0)[0]))
    write(folder / "carla.wav", speech_like(seconds=3.0)[0])
    assert [voice.source for voice in voices.list() if voice.id == "carla.wav"] == ["uploaded"]
    assert voices.get("carla.wav") == carla


def test_a_voice_with_the_longest_name_is_kept_and_deleted(store: ArtifactStore, voices: VoiceStore) -> None:
    name = "ä" * 64
    artifact = voices.create(name, upload(store, speech_like(seconds=2.0)[0])).artifact
    assert artifact is not None
    with pytest.raises(Conflict):
        store.delete(artifact.id)
    voices.delete(name)
    store.delete(artifact.id)
