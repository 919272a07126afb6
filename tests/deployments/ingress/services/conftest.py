"""``/services/{model}`` over HTTP: real storage, the real models' checks, and a runner that makes tones."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import soundfile

from audiograph.schemas import (
    Artifact,
    DialogueResult,
    Job,
    JobError,
    Request,
    SpeakResult,
    SpokenTurn,
)
from deployments.audio import files as audio
from deployments.ingress.backend import Backend
from deployments.storage.artifacts import Provenance
from tests.deployments.ingress.conftest import HERE
from tests.support.sounds import speech_like, tone

MODELS = {"mock": "mock:Mock", "dia": "dia:Dia", "higgs": "higgs:Higgs"}
SAID = "What is said in it."
TURNS = [{"text": "Who is there?", "voice_id": "anna.wav"}, {"text": "Only me.", "voice_id": "men/bert.wav"}]
RATE, SECONDS = 24_000, 0.5


@pytest.fixture
def sections(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Configure real models, a folder of voices, and a test's own sections."""
    voices = tmp_path / "voices"
    (voices / "men").mkdir(parents=True)
    for path in ("anna", "men/bert"):
        soundfile.write(voices / f"{path}.wav", speech_like(seconds=2.0)[0], 16_000)
        (voices / f"{path}.txt").write_text(SAID)
    (voices / "broken.wav").write_bytes(b"RIFF")
    soundfile.write(tmp_path / "secret.wav", speech_like(seconds=2.0)[0], 16_000)
    (voices / "link.wav").symlink_to(tmp_path / "secret.wav")
    models = {name: {"class": f"deployments.models.{path}"} for name, path in MODELS.items()}
    others = {"listener": {"class": f"{HERE}:Listener"}, "speaker": {"class": f"{HERE}:Speaker"}}
    return {"models": models | others, "voices": {"folder": voices}, **getattr(request, "param", {})}


class Runner:
    """Finishes queued jobs with a tone of half a second, or with an error."""

    def __init__(self, backend: Backend) -> None:
        self._store = backend.store
        self._queue: Any = backend.queue
        self.error: JobError | None = None
        self.asked: list[Request] = []

    async def run(self) -> None:
        while True:
            for job in [job for job in self._queue.jobs.values() if job.status == "queued"]:
                await self._finish(job)
            await asyncio.sleep(0.01)

    async def _finish(self, job: Job) -> None:
        request = self._queue.requests[job.id]
        self.asked.append(request)
        if self.error:
            self._queue.finish(job.id, "failed", error=self.error)
            return
        made = {"duration": SECONDS, "sample_rate": RATE, "channels": 1, "notes": self._queue.notes[job.id]}
        turns = [SpokenTurn(voice="x", text="x", start=0, end=SECONDS)]
        result = (
            SpeakResult(voice="x", **made) if job.task == "speak" else DialogueResult(turns=turns, **made)
        )
        artifact = await asyncio.to_thread(self._store_tone, request.format)
        self._queue.finish(job.id, "succeeded", [artifact], result=result, weights="none")

    def _store_tone(self, audio_format: Any) -> Artifact:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tone"
            info = audio.encode(tone(seconds=SECONDS, sample_rate=RATE), RATE, audio_format, path)
            return self._store.put_artifact(
                "tone", path.read_bytes(), info.media_type, audio=info, provenance=Provenance()
            )


@pytest.fixture
async def runner(backend: Backend) -> AsyncIterator[Runner]:
    runner = Runner(backend)
    running = asyncio.create_task(runner.run())
    yield runner
    running.cancel()


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return tmp_path / "exports"


async def say(
    client: httpx.AsyncClient, voice: str = "anna.wav", model: str = "mock", **body: Any
) -> httpx.Response:
    path = f"/services/{model}/v1/text-to-speech/{quote(voice, safe='')}"
    return await client.post(path, json={"text": "Hello.", "output_filepath": "a.wav", **body})


async def converse(client: httpx.AsyncClient, model: str = "mock", **body: Any) -> httpx.Response:
    path = f"/services/{model}/v1/text-to-dialogue"
    return await client.post(path, json={"inputs": TURNS, "output_filepath": "a.wav", **body})


def written(folder: Path) -> list[str]:
    """The files of a folder, whole or not."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        await asyncio.sleep(0.01)
