"""200 mixed jobs in flight while every kind of process is killed with -9: none is lost, none doubled."""

import hashlib
import io
import time
from collections import Counter

import pytest
import soundfile

from audiograph import Audiograph
from audiograph.errors import AudiographError
from audiograph.schemas import AnalyzePitchRequest, Job, Request, SpeakRequest, TranscribeRequest
from tests.serve.conftest import MakeServer, Server
from tests.sounds import wav_bytes

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

JOBS = 200
DEADLINE_SECONDS = 600


def submit_mixed(client: Audiograph, count: int) -> list[str]:
    """Speech, transcription and key detection in turn; the ids of the jobs."""
    tone = client.files.upload(wav_bytes(seconds=2.0), name="tone.wav")
    jobs = []
    for number in range(count):
        kind = number % 5
        if kind == 0:
            request: Request = AnalyzePitchRequest(file=tone.id)
        elif kind == 1:
            request = TranscribeRequest(file=tone.id)
        else:
            request = SpeakRequest(text=f"This is job number {number}.")
        jobs.append(client.jobs.submit(request).id)
    return jobs


def wait_for_some(client: Audiograph, ids: list[str], share: float) -> None:
    """Until that share of the jobs has finished."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while _finished(client, ids) < share * len(ids):
        assert time.monotonic() < deadline, f"too slow: {_statuses(client, ids)}"
        time.sleep(2.0)  # each look costs the server something


def _statuses(client: Audiograph, ids: list[str]) -> Counter[str]:
    return Counter(job.status for job in client.jobs.list() if job.id in set(ids))


def _finished(client: Audiograph, ids: list[str]) -> int:
    try:
        statuses = _statuses(client, ids)
    except AudiographError:  # the ingress is being replaced
        return 0
    return sum(statuses[status] for status in ("succeeded", "failed", "canceled"))


def check_outcome(client: Audiograph, job: Job) -> None:
    """The job succeeded, once, and what it made is whole."""
    assert job.status == "succeeded", job.error
    made = list(client.artifacts.search(job_id=job.id))
    assert {artifact.id for artifact in made} == {artifact.id for artifact in job.artifacts}
    names = [artifact.name for artifact in job.artifacts]
    assert len(set(names)) == len(names)
    for artifact in job.artifacts:
        content = client.artifacts.download(artifact)
        assert hashlib.sha256(content).hexdigest() == artifact.sha256
        if artifact.media_type == "audio/wav":
            samples, _ = soundfile.read(io.BytesIO(content))
            assert abs(samples).max() > 0.01


def check_all(server: Server, ids: list[str]) -> None:
    with Audiograph(server.url) as client:
        wait_for_some(client, ids, 1.0)
        for job_id in ids:
            check_outcome(client, client.jobs.get(job_id))
        assert _statuses(client, ids) == {"succeeded": len(ids)}


def test_nothing_is_lost_when_everything_is_killed_on_sqlite(make_server: MakeServer) -> None:
    server = make_server(jobs={"dead_after_seconds": 3.0}).start()
    with Audiograph(server.url) as client:
        ids = submit_mixed(client, JOBS)
        wait_for_some(client, ids, 0.05)
        server.kill("ServeReplica:audiograph:runner")
        wait_for_some(client, ids, 0.25)
        server.kill("ServeReplica:audiograph:espeak")
        server.kill("ServeReplica:audiograph:whisper")
        wait_for_some(client, ids, 0.45)
        server.kill("ServeReplica:audiograph:ingress")
        wait_for_some(client, ids, 0.65)
    server.kill_everything()
    server.start()
    check_all(server, ids)


def test_two_runners_on_postgresql_lose_nothing(make_server: MakeServer, postgres_url: str) -> None:
    server = make_server(
        storage={"database_url": postgres_url}, jobs={"runners": 2, "dead_after_seconds": 3.0}
    ).start()
    with Audiograph(server.url) as client:
        ids = submit_mixed(client, JOBS)
        wait_for_some(client, ids, 0.1)
        server.processes("ServeReplica:audiograph:runner")[0].kill()
        wait_for_some(client, ids, 0.3)
        server.kill("ServeReplica:audiograph:espeak")
        wait_for_some(client, ids, 0.5)
    server.kill_everything()
    server.start()
    check_all(server, ids)
