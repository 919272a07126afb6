"""A crowd: 64 jobs at once over every model, some of them canceled at a time that nobody plans."""

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from audiograph import Audiograph
from audiograph.errors import Conflict, JobCanceled
from audiograph.schemas import (
    AnalyzePitchRequest,
    AnyRequest,
    DialogueRequest,
    GenerateMusicRequest,
    Job,
    SeparateRequest,
    SpeakRequest,
    TranscribeRequest,
    Turn,
)
from tests.support.sounds import wav_bytes

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

JOBS = 64
PATIENCE = 300
TURNS = [Turn(text="Hello."), Turn(text="Hi.")]
SHORT = {"max_new_tokens": 40}
SLACK_BYTES = 64 * 1024**2
"""What allocators and caches of libraries keep, whose size says nothing about jobs."""


def requests(file: str, count: int) -> list[AnyRequest]:
    """Return requests for every model in turn; music of many lengths."""
    kinds: list[Callable[[int], AnyRequest]] = [
        lambda n: SpeakRequest(text=f"This is number {n}."),
        lambda n: GenerateMusicRequest(prompt="jazz", duration=0.5 + n % 3, seed=n),
        lambda n: TranscribeRequest(file=file),
        lambda n: SeparateRequest(file=file, model="hpss"),
        lambda n: AnalyzePitchRequest(file=file),
        lambda n: SeparateRequest(file=file, model="demucs"),
        lambda n: DialogueRequest(model="dia", turns=TURNS, parameters=SHORT),
        lambda n: SpeakRequest(model="higgs", text="Hello.", parameters=SHORT),
        lambda n: SpeakRequest(model="chatterbox", text="Hello.", parameters=SHORT),
        lambda n: SpeakRequest(model="mock", text="Hello."),
    ]
    return [kinds[number % len(kinds)](number) for number in range(count)]


def run_all(client: Audiograph, wanted: list[AnyRequest], canceled: set[int]) -> list[Job]:
    """Submit all at once, cancel those of these places a little later, and wait for the end of each."""
    chance = random.Random(1)
    delays = [chance.uniform(0.0, 3.0) for _ in wanted]

    def run(number: int) -> Job:
        job = client.jobs.submit(wanted[number])
        if number in canceled:
            time.sleep(delays[number])
            with suppress(Conflict):  # it was quicker
                client.jobs.cancel(job)
        with suppress(JobCanceled):
            client.jobs.wait(job, timeout=PATIENCE)
        return client.jobs.get(job)

    with ThreadPoolExecutor(len(wanted)) as threads:
        return list(threads.map(run, range(len(wanted))))


def memory(client: Audiograph) -> dict[str, int]:
    """What each model's replica uses when nothing is loaded, in bytes."""
    for model in client.models.list():
        client.models.unload(model.id)
    return {model.id: client.models.get(model.id).replicas[0].memory_bytes for model in client.models.list()}


def test_a_crowd_leaves_nothing_behind(client: Audiograph) -> None:
    file = client.files.upload(wav_bytes(seconds=2.0), name="tone.wav").id
    run_all(client, requests(file, 10), canceled=set())  # every replica is up, every library imported
    before = memory(client)

    canceled = set(random.Random(2).sample(range(JOBS), JOBS // 3))
    jobs = run_all(client, requests(file, JOBS), canceled)

    for number, job in enumerate(jobs):
        assert job.status == "succeeded" or (job.status == "canceled" and number in canceled), job.error
        assert bool(job.artifacts) == (job.status == "succeeded")
    assert Counter(job.status for job in jobs)["succeeded"] >= JOBS - len(canceled)
    assert all(client.models.get(name).replicas[0].ongoing == 0 for name in before)
    grown = {name: after - before[name] for name, after in memory(client).items()}
    assert max(grown.values()) < SLACK_BYTES, grown
