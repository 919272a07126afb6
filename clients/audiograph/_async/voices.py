"""``client.voices``: what can speak."""

from __future__ import annotations

from audiograph._async.files import AsyncFiles
from audiograph._async.http import AsyncHttp
from audiograph._routes import route
from audiograph._sources import AsyncInput
from audiograph.schemas import CreateVoiceRequest, VoiceInfo, VoiceList


class AsyncVoices:
    """See voices, and add recorded ones for the models that clone them."""

    def __init__(self, http: AsyncHttp, files: AsyncFiles) -> None:
        self._http = http
        self._files = files

    async def create(self, name: str, file: AsyncInput, *, transcript: str | None = None) -> VoiceInfo:
        """Keep a recording of somebody as a voice; the server cuts off its silent ends.

        Args:
            name: its id from now on.
            file: a path, bytes, a stream or a stored file; 1 to 60 s unless the server says otherwise.
            transcript: what is said in it, which some models must know.

        Raises:
            Conflict: there is a voice of that name.
            InvalidAudio: it is silent, too short or too long.
        """
        stored = await self._files.stored(file)
        body = CreateVoiceRequest(name=name, file=stored, transcript=transcript).model_dump(exclude_none=True)
        return await self._http.fetch(VoiceInfo, "POST", route("voices"), json=body)

    async def get(self, voice: str) -> VoiceInfo:
        """A recorded voice; raises NotFound."""
        return await self._http.fetch(VoiceInfo, "GET", route("voices", voice))

    async def delete(self, voice: str) -> None:
        """Forget an uploaded voice; jobs that were submitted before keep it."""
        await self._http.request("DELETE", route("voices", voice))

    async def list(self) -> list[VoiceInfo]:
        """Those that come with the models, then recorded ones."""
        return (await self._http.fetch(VoiceList, "GET", route("voices"))).data
