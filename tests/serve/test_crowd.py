"""A crowd: 64 concurrent jobs over every model, some of them canceled at random times."""

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
KINDS = 11
"""Number of the different requests."""
PATIENCE = 300
TURNS = [Turn(text="Hello."), Turn(text="Hi.")]
SHORT = {"max_new_tokens": 40}
SLACK_BYTES = 64 * 1024**2
"""Memory that allocators and caches of libraries keep, whatever the jobs."""


def requests_for(file: str, count: int) -> list[AnyRequest]:
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
        lambda n: SpeakRequest(model="kokoro", text=f"Hello, number {n}."),
        lambda n: SpeakRequest(model="mock", text="Hello."),
    ]
    return [kinds[number % len(kinds)](number) for number in range(count)]


def run_all(client: Audiograph, requests: list[AnyRequest], canceled: set[int]) -> list[Job]:
    """Submit all requests at once, cancel some of them a little later, and wait for every end."""
    generator = random.Random(1)
    delays = [generator.uniform(0.0, 3.0) for _ in requests]

    def run(number: int) -> Job:
        job = client.jobs.submit(requests[number])
        if number in canceled:
            time.sleep(delays[number])
            with suppress(Conflict):  # it has finished already
                client.jobs.cancel(job)
        with suppress(JobCanceled):
            client.jobs.wait(job, timeout=PATIENCE)
        return client.jobs.get(job)

    with ThreadPoolExecutor(len(requests)) as threads:
        return list(threads.map(run, range(len(requests))))


def memory(client: Audiograph) -> dict[str, int]:
    """Return the bytes that each model's replica uses with no variant loaded."""
    for model in client.models.list():
        client.models.unload(model.id)
    return {model.id: client.models.get(model.id).replicas[0].memory_bytes for model in client.models.list()}


def test_many_jobs_at_once_leave_nothing_behind(client: Audiograph) -> None:
    file = client.files.upload(wav_bytes(seconds=2.0), name="tone.wav").id
    run_all(client, requests_for(file, KINDS), canceled=set())  # start every replica and import every library
    before = memory(client)

    canceled = set(random.Random(2).sample(range(JOBS), JOBS // 3))
    jobs = run_all(client, requests_for(file, JOBS), canceled)

    for number, job in enumerate(jobs):
        assert job.status == "succeeded" or (job.status == "canceled" and number in canceled), job.error
        assert bool(job.artifacts) == (job.status == "succeeded")
    assert Counter(job.status for job in jobs)["succeeded"] >= JOBS - len(canceled)
    assert all(client.models.get(name).replicas[0].ongoing == 0 for name in before)
    grown = {name: after - before[name] for name, after in memory(client).items()}
    assert max(grown.values()) < SLACK_BYTES, grown
