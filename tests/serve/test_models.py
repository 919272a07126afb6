"""Models for operators: variants, loaded variants by replica, and memory."""

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from audiograph import Audiograph
from audiograph.errors import InvalidRequest, NotFound, NotServed
from audiograph.schemas import LoadedVariant, Replica
from tests.serve.conftest import MakeServer
from tests.support.server import Server
from tests.support.sounds import wav_bytes

pytestmark = pytest.mark.cluster

PATIENCE = 120.0


def replica_of(client: Audiograph, model: str) -> Replica:
    (replica,) = client.models.get(model).replicas
    return replica


def loaded(client: Audiograph, model: str) -> dict[str, LoadedVariant]:
    return {entry.variant: entry for entry in replica_of(client, model).loaded}


def test_every_configured_model_is_listed(client: Audiograph) -> None:
    models = {model.id: model for model in client.models.list()}
    assert {name: model.tasks for name, model in models.items()} == {
        "pitch_analysis": ["analyze_pitch"],
        "whisper": ["transcribe"],
        "musicgen": ["generate_music"],
        "hpss": ["separate"],
        "demucs": ["separate"],
        "kokoro": ["speak", "dialogue"],
        "espeak": ["speak", "dialogue"],
        "dia": ["dialogue"],
        "higgs": ["speak", "dialogue"],
        "chatterbox": ["speak", "dialogue"],
        "mock": ["speak", "dialogue"],
    }
    assert {name: model.weights for name, model in models.items()} == {
        "pitch_analysis": "none",
        "whisper": "random",
        "musicgen": "random",
        "hpss": "none",
        "demucs": "random",
        "kokoro": "random",
        "espeak": "none",
        "dia": "random",
        "higgs": "random",
        "chatterbox": "random",
        "mock": "none",
    }
    assert all(model.available for model in models.values())
    assert models["whisper"].default_variant == "base"
    assert "en-us" in {voice.id for voice in models["espeak"].voices}


@pytest.fixture
def fresh(make_server: MakeServer) -> Iterator[Audiograph]:
    """A client of a server that has loaded nothing: a process may keep the heap of an earlier load."""
    with Audiograph(make_server().start().url) as client:
        yield client


def test_a_variant_is_loaded_and_unloaded_on_every_replica(fresh: Audiograph) -> None:
    report = fresh.models.load("whisper", "base")
    (change,) = report.replicas
    assert (change.changed, change.variants) == (True, ["base"])
    assert report.bytes == change.bytes > 0
    assert change.replica == replica_of(fresh, "whisper").id
    assert loaded(fresh, "whisper")["base"].weights == "random"

    (again,) = fresh.models.load("whisper", "base").replicas
    assert (again.changed, again.bytes) == (False, 0)

    report = fresh.models.unload("whisper", "base")
    (change,) = report.replicas
    assert (report.action, change.changed, change.variants) == ("unload", True, ["base"])
    assert report.bytes == change.bytes
    assert loaded(fresh, "whisper") == {}


def test_a_job_loads_what_it_needs_and_reports_it(client: Audiograph) -> None:
    client.models.unload("espeak")
    job = client.speak("Load yourself.", timeout=PATIENCE)
    assert job.timings is not None
    assert job.timings.load > 0
    entry = loaded(client, "espeak")["espeak-ng"]
    assert (entry.weights, entry.users) == ("none", 0)
    assert replica_of(client, "espeak").memory_bytes > 0


def test_two_variants_are_kept_at_once(client: Audiograph) -> None:
    clip = client.files.upload(wav_bytes())
    for variant in ("enhanced_chroma", "basic_chroma"):
        assert client.analyze_pitch(clip, variant=variant, timeout=PATIENCE).variant == variant
    assert {"enhanced_chroma", "basic_chroma"} <= set(loaded(client, "pitch_analysis"))


def test_an_unknown_model_or_variant_is_refused(client: Audiograph) -> None:
    with pytest.raises(NotFound, match="whisper"):
        client.models.load("whispering")
    with pytest.raises(InvalidRequest, match="tiny"):
        client.models.load("whisper", "tinny")


def test_jobs_are_in_the_metrics(client: Audiograph, server: Server) -> None:
    client.speak("Count me.", timeout=PATIENCE)
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics", timeout=60).text)
    (jobs,) = [family for family in families if family.name == "audiograph_jobs"]
    counts = {(sample.labels["task"], sample.labels["status"]): sample.value for sample in jobs.samples}
    assert counts["speak", "succeeded"] >= 1


def test_a_task_that_no_model_serves_is_refused(client: Audiograph) -> None:
    with pytest.raises(NotServed, match="describe"):
        client.describe(wav_bytes())
