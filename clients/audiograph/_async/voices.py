"""``client.voices``: built-in and recorded voices."""

from __future__ import annotations

from audiograph._async.files import AsyncFiles
from audiograph._async.http import AsyncHttp
from audiograph._checks import build
from audiograph._routes import route
from audiograph._sources import UPLOAD_PLACEHOLDER, AsyncInput
from audiograph.schemas import CreateVoiceRequest, VoiceInfo, VoiceList


class AsyncVoices:
    """Look up voices, and add recordings for models that clone voices."""

    def __init__(self, http: AsyncHttp, files: AsyncFiles) -> None:
        self._http = http
        self._files = files

    async def create(self, name: str, file: AsyncInput, *, transcript: str | None = None) -> VoiceInfo:
        """Store a recording as a voice; the server trims silence at its ends.

        Args:
            name: id of the voice.
            file: a path, bytes, a stream or a stored file; 1 to 60 s by the server's default settings.
            transcript: the words spoken in the recording, which some models require.

        Raises:
            InvalidRequest: the name or the transcript is invalid; nothing was uploaded.
            Conflict: a voice of this name exists.
            InvalidAudio: the recording is silent, too short or too long.
        """
        request = build(CreateVoiceRequest, name=name, file=UPLOAD_PLACEHOLDER, transcript=transcript)
        stored = build(CreateVoiceRequest, **{**request.model_dump(), "file": await self._files.stored(file)})
        body = stored.model_dump(exclude_none=True)
        return await self._http.fetch(VoiceInfo, "POST", route("voices"), json=body)

    async def get(self, voice: str) -> VoiceInfo:
        """Return a recorded voice; raises NotFound."""
        return await self._http.fetch(VoiceInfo, "GET", route("voices", voice))

    async def delete(self, voice: str) -> None:
        """Delete an uploaded voice; jobs submitted before keep it."""
        await self._http.delete(route("voices", voice))

    async def list(self) -> list[VoiceInfo]:
        """Return the models' built-in voices, then the recorded ones."""
        return (await self._http.fetch(VoiceList, "GET", route("voices"))).data
