"""The asyncio client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from audiograph._async.artifacts import AsyncArtifacts
from audiograph._async.files import AsyncFiles
from audiograph._async.http import AsyncHttp
from audiograph._async.jobs import AsyncJobs
from audiograph._async.models import AsyncModels
from audiograph._async.voices import AsyncVoices
from audiograph._options import (
    AnalyzePitchOptions,
    DescribeOptions,
    DialogueOptions,
    GenerateMusicOptions,
    SeparateOptions,
    SpeakOptions,
    TranscribeOptions,
    build_request,
    split_options,
    spoken_turn,
)
from audiograph._settings import Settings
from audiograph._sources import UPLOAD_PLACEHOLDER, AsyncInput
from audiograph.schemas import Health, Job, Readiness, TaskName, Turn


class AsyncAudiograph:
    """Client of one Audiograph server.

        async with AsyncAudiograph() as client:
            job = await client.transcribe("talk.mp3", language="en")
            print(job.result.text)

    Each task has a method that uploads the file if necessary, submits the job, waits for it and returns it.
    ``wait=False`` returns the job as soon as it is queued. The other keyword arguments are the fields of the
    task's request in `audiograph.schemas`, and ``timeout``, ``on_progress`` and ``idempotency_key``. Waiting
    raises JobFailed, JobCanceled or WaitTimeout.

    An argument that cannot be right raises before anything is sent: InvalidRequest for a value, an OSError
    such as FileNotFoundError for a path, InvalidAudio for an empty recording, and TypeError for another type.

    ``files``, ``jobs``, ``artifacts``, ``models`` and ``voices`` cover the rest of the native API.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        retries: int = 4,
        reconnects: int = 15,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Prepare the client; it connects at its first request.

        Args:
            base_url: URL of the server; by default AUDIOGRAPH_URL or http://127.0.0.1:8000.
            api_key: bearer token; by default AUDIOGRAPH_API_KEY or none.
            timeout: seconds to wait for a response, or for its next bytes.
            retries: retries of a request or download after a transient failure.
            reconnects: consecutive reconnections of an event stream without progress; the default outlasts
                a restart of the server.
            transport: httpx transport of the requests, for tests and special networks.

        Raises:
            InvalidRequest: ``base_url`` is not an http or https URL, ``api_key`` cannot be part of a header,
                or a number is negative or not a number.
        """
        settings = Settings.read(base_url, api_key, timeout=timeout, retries=retries, reconnects=reconnects)
        self._http = AsyncHttp(settings, transport)
        self.files = AsyncFiles(self._http)
        self.jobs = AsyncJobs(self._http)
        self.artifacts = AsyncArtifacts(self._http)
        self.models = AsyncModels(self._http)
        self.voices = AsyncVoices(self._http, self.files)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; jobs keep running."""
        await self._http.aclose()

    @property
    def base_url(self) -> str:
        """URL of the server, without a trailing slash."""
        return self._http.settings.base_url

    async def transcribe(self, file: AsyncInput, **options: Unpack[TranscribeOptions]) -> Job:
        """Transcribe speech; the result is a `TranscribeResult`, the artifacts are json, txt, srt and vtt."""
        return await self._run_task("transcribe", {"file": file, **options})

    async def analyze_pitch(self, file: AsyncInput, **options: Unpack[AnalyzePitchOptions]) -> Job:
        """Detect the key and dominant pitches of a recording; the result is a `PitchResult`."""
        return await self._run_task("analyze_pitch", {"file": file, **options})

    async def separate(self, file: AsyncInput, **options: Unpack[SeparateOptions]) -> Job:
        """Separate a mixture into stems; the result is a `SeparateResult`, each stem is an artifact."""
        return await self._run_task("separate", {"file": file, **options})

    async def describe(self, file: AsyncInput, **options: Unpack[DescribeOptions]) -> Job:
        """Describe a recording in words; the result is a `DescribeResult`."""
        return await self._run_task("describe", {"file": file, **options})

    async def speak(self, text: str, **options: Unpack[SpeakOptions]) -> Job:
        """Speak a text; the result is a `SpeakResult`, the artifact is the recording."""
        return await self._run_task("speak", {"text": text, **options})

    async def dialogue(
        self, turns: Sequence[Turn | tuple[str, str]], **options: Unpack[DialogueOptions]
    ) -> Job:
        """Speak turns, each a `Turn` or ``(voice, text)``; the result is a `DialogueResult`."""
        spoken = [spoken_turn(turn) for turn in turns]
        return await self._run_task("dialogue", {"turns": spoken, **options})

    async def generate_music(
        self, prompt: str = "", *, file: AsyncInput | None = None, **options: Unpack[GenerateMusicOptions]
    ) -> Job:
        """Generate music from a text and, optionally, an audio file; the result is a `MusicResult`.

        The file is a melody to follow or a beginning to continue, depending on the model's variant.
        """
        return await self._run_task("generate_music", {"prompt": prompt, "file": file, **options})

    async def health(self) -> Health:
        """Check that the server is alive; the result has its version."""
        return await self._http.fetch(Health, "GET", "/health")

    async def ready(self) -> Readiness:
        """Check whether the server accepts work, and its dependencies; an unready server raises nothing."""
        not_ready = (httpx.codes.SERVICE_UNAVAILABLE,)
        return await self._http.fetch(Readiness, "GET", "/ready", accepted_statuses=not_ready)

    async def _run_task(self, task: TaskName, options: Mapping[str, Any]) -> Job:
        run, fields = split_options(options)
        file: AsyncInput | None = fields.get("file")
        if file is not None:
            fields["file"] = UPLOAD_PLACEHOLDER
        request = build_request(task, fields)  # raises for invalid fields before a byte is uploaded
        if file is not None:
            request = request.model_copy(update={"file": await self.files.stored(file)})
        job = await self.jobs.submit(request, idempotency_key=run.get("idempotency_key"))
        if not run.get("wait", True):
            return job
        return await self.jobs.wait(job, on_progress=run.get("on_progress"), timeout=run.get("timeout"))
