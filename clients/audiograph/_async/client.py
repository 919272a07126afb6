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
    split,
)
from audiograph._settings import Settings
from audiograph._sources import AsyncInput
from audiograph.schemas import Health, Job, Readiness, TaskName, Turn

NOT_YET_UPLOADED = "to-be-uploaded"


class AsyncAudiograph:
    """A connection to one Audiograph server.

        async with AsyncAudiograph() as client:
            job = await client.transcribe("talk.mp3", language="en")
            print(job.result.text)

    The methods named for a task upload their file if need be, submit the job, wait for it and give it back;
    ``wait=False`` gives it back as soon as it is queued. Their other keyword arguments are the fields of
    the task's request in `audiograph.schemas`, and ``timeout``, ``on_progress`` and ``idempotency_key``.
    Waiting raises JobFailed, JobCanceled or WaitTimeout.

    ``files``, ``jobs``, ``artifacts``, ``models`` and ``voices`` are the rest of the native API.
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
        """Connect lazily: nothing is sent before the first call.

        Args:
            base_url: the server; else AUDIOGRAPH_URL, else http://127.0.0.1:8000.
            api_key: sent as a bearer token; else AUDIOGRAPH_API_KEY, else none.
            timeout: seconds without an answer, or between two parts of one.
            retries: further tries of a request or download after a failure that may pass.
            reconnects: further tries in a row of an event stream, enough by default for a server's restart.
            transport: what carries the requests, for tests and special networks.

        Raises:
            InvalidRequest: ``base_url`` is not an http or https URL.
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
        """Close the connections; jobs go on."""
        await self._http.aclose()

    @property
    def base_url(self) -> str:
        """The server's URL, without a slash at its end."""
        return self._http.settings.base_url

    async def transcribe(self, file: AsyncInput, **options: Unpack[TranscribeOptions]) -> Job:
        """Speech to text; the result is a `TranscribeResult`, the artifacts are json, txt, srt and vtt."""
        return await self._run("transcribe", {"file": file, **options})

    async def analyze_pitch(self, file: AsyncInput, **options: Unpack[AnalyzePitchOptions]) -> Job:
        """Key, confidence and dominant pitches of a recording; the result is a `PitchResult`."""
        return await self._run("analyze_pitch", {"file": file, **options})

    async def separate(self, file: AsyncInput, **options: Unpack[SeparateOptions]) -> Job:
        """A mixture into its stems; the result, a `SeparateResult`, has the artifact of each."""
        return await self._run("separate", {"file": file, **options})

    async def describe(self, file: AsyncInput, **options: Unpack[DescribeOptions]) -> Job:
        """Words about a recording; the result is a `DescribeResult`."""
        return await self._run("describe", {"file": file, **options})

    async def speak(self, text: str, **options: Unpack[SpeakOptions]) -> Job:
        """Text to speech; the result is a `SpeakResult`, the artifact is the recording."""
        return await self._run("speak", {"text": text, **options})

    async def dialogue(
        self, turns: Sequence[Turn | tuple[str, str]], **options: Unpack[DialogueOptions]
    ) -> Job:
        """Several voices in turn, each a `Turn` or ``(voice, text)``; the result is a `DialogueResult`."""
        spoken = [turn if isinstance(turn, Turn) else {"voice": turn[0], "text": turn[1]} for turn in turns]
        return await self._run("dialogue", {"turns": spoken, **options})

    async def generate_music(
        self, prompt: str = "", *, file: AsyncInput | None = None, **options: Unpack[GenerateMusicOptions]
    ) -> Job:
        """Text to music, after a melody or a beginning if a file is given; the result is a `MusicResult`."""
        return await self._run("generate_music", {"prompt": prompt, "file": file, **options})

    async def health(self) -> Health:
        """Whether the server is alive, and its version."""
        return await self._http.fetch(Health, "GET", "/health")

    async def ready(self) -> Readiness:
        """Whether the server can take work, and what it stands on; not ready is an answer, not an error."""
        return await self._http.fetch(Readiness, "GET", "/ready", answers=(httpx.codes.SERVICE_UNAVAILABLE,))

    async def _run(self, task: TaskName, options: Mapping[str, Any]) -> Job:
        how, fields = split(options)
        file: AsyncInput | None = fields.get("file")
        if file is not None:
            fields["file"] = NOT_YET_UPLOADED
        request = build_request(task, fields)  # a mistake is told before a byte is uploaded
        if file is not None:
            request = request.model_copy(update={"file": await self.files.stored(file)})
        job = await self.jobs.submit(request, idempotency_key=how.get("idempotency_key"))
        if not how.get("wait", True):
            return job
        return await self.jobs.wait(job, on_progress=how.get("on_progress"), timeout=how.get("timeout"))
