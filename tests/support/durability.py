"""200 mixed jobs for tests that kill processes, and the checks of their outcomes."""

import hashlib
import io
import time
from collections import Counter, defaultdict

import httpx
import soundfile
from prometheus_client.parser import text_string_to_metric_families

from audiograph import Audiograph
from audiograph.schemas import (
    FINAL_STATUSES,
    AnalyzePitchRequest,
    Artifact,
    File,
    Job,
    SpeakRequest,
    TranscribeRequest,
)
from tests.support.server import Server
from tests.support.sounds import wav_bytes

JOBS = 200
DEADLINE_SECONDS = 600


class MixedJobs:
    """Jobs of speech, transcription and key detection by turns, submitted to an otherwise idle server."""

    def __init__(self, server: Server, client: Audiograph) -> None:
        self._server = server
        self._client = client
        before = statuses(server)
        assert before is not None, "the server does not answer"
        self._before = before
        tone = client.files.upload(wav_bytes(seconds=2.0), name="tone.wav")
        self._ids = {client.jobs.submit(request(number, tone)).id for number in range(JOBS)}

    def wait(self, share: float) -> None:
        """Wait until a share of the jobs has finished."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (counts := self._statuses()) is None or finished(counts) < share * JOBS:
            assert time.monotonic() < deadline, f"too slow: {counts}"
            time.sleep(0.5)

    def check_all(self) -> None:
        """Wait for all jobs; each must have succeeded, once, with intact artifacts."""
        self.wait(1.0)
        assert self._statuses() == Counter(succeeded=JOBS)
        jobs = list(self._client.jobs.list(limit=JOBS))
        assert {job.id for job in jobs} == self._ids
        artifacts: dict[str | None, list[Artifact]] = defaultdict(list)
        for artifact in self._client.artifacts.search():
            artifacts[artifact.job_id].append(artifact)
        for job in jobs:
            check_outcome(self._client, job, artifacts[job.id])

    def _statuses(self) -> Counter[str] | None:
        counts = statuses(self._server)
        return None if counts is None else counts - self._before


def request(number: int, tone: File) -> AnalyzePitchRequest | TranscribeRequest | SpeakRequest:
    """Return the request of a job by its number."""
    match number % 5:
        case 0:
            return AnalyzePitchRequest(file=tone.id)
        case 1:
            return TranscribeRequest(file=tone.id)
        case _:
            return SpeakRequest(text=f"This is job number {number}.")


def statuses(server: Server) -> Counter[str] | None:
    """Count the jobs by status; None while the ingress is being replaced.

    The metrics are read because polling pages of 200 jobs would cost more than the jobs themselves.
    """
    try:
        response = httpx.get(f"{server.url}/metrics", timeout=30)
    except httpx.TransportError:
        return None
    if not response.is_success:
        return None
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families(response.text):
        for sample in family.samples:
            if sample.name == "audiograph_jobs":
                counts[sample.labels["status"]] += int(sample.value)
    return counts


def finished(counts: Counter[str]) -> int:
    """Count the jobs with a final status."""
    return sum(counts[status] for status in FINAL_STATUSES)


def check_outcome(client: Audiograph, job: Job, artifacts: list[Artifact]) -> None:
    """Check that a job succeeded, once, and that its artifacts are intact.

    Args:
        artifacts: all artifacts in the store with the job's id; those of another attempt would be among them.
    """
    assert job.status == "succeeded", job.error
    assert {artifact.id for artifact in artifacts} == {artifact.id for artifact in job.artifacts}
    names = [artifact.name for artifact in job.artifacts]
    assert len(set(names)) == len(names)
    for artifact in job.artifacts:
        content = client.artifacts.download(artifact)
        assert hashlib.sha256(content).hexdigest() == artifact.sha256
        if artifact.media_type == "audio/wav":
            samples, _ = soundfile.read(io.BytesIO(content))
            assert abs(samples).max() > 0.01
