"""Streams an upload from the socket into storage, in constant memory, all or nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from audiograph._wording import shortened, shown
from audiograph.errors import InvalidRequest, MalformedRequest, PayloadTooLarge
from audiograph.schemas import File
from deployments.audio.files import probe
from deployments.config import LimitsConfig
from deployments.ingress.http.disposition import parse_part
from deployments.storage.artifacts import ArtifactStore

FIELD = "file"
TRACK = "track"
BLOCK_BYTES = 1024**2
"""Bytes per write: one hop to a thread for a mebibyte instead of one for each packet."""
MAX_LENGTH_DIGITS = 20
"""Digits of a ``Content-Length`` that any file could have."""
MAX_DIGITS = 9
"""Length of the field ``track``; the rest is cut off."""
FORM_BYTES = 64 * 1024
"""Maximum size of a multipart form beside the file's own bytes."""

Returned = TypeVar("Returned")

_threads = ThreadPoolExecutor(8, "upload")
"""Separate from the threads of other requests: decoding a long upload takes a while."""


async def receive_upload(request: Request, store: ArtifactStore, limits: LimitsConfig) -> File:
    """Store the form's field ``file``; its field ``track`` may name one of several audio tracks.

    Raises:
        MalformedRequest: the body is not a multipart form, or breaks off.
        InvalidRequest: the field is missing, or the form has others, or the track is no number.
        PayloadTooLarge: the file is larger than ``limits.max_upload_bytes``.
        InvalidAudio: the file is not audio within the limits.
    """
    form = FileForm(request.headers.get("content-type"))
    _refuse_by_length(request, limits.max_upload_bytes)
    with store.writer() as writer:  # without a commit nothing is kept
        async for block in _blocks(request.stream(), form, limits.max_upload_bytes):
            await _in_thread(writer.write, block)
        name = form.finish()
        audio = await _in_thread(lambda: probe(writer.path, limits, form.track))
        return await _in_thread(writer.commit_file, name, audio.media_type, audio)


def _refuse_by_length(request: Request, limit: int) -> None:
    """Refuse an upload by its ``Content-Length``, before it is sent."""
    length = request.headers.get("content-length", "").lstrip("0")
    # Python refuses to read numbers of more than 4,300 digits.
    if length.isdecimal() and (len(length) > MAX_LENGTH_DIGITS or int(length) > limit + FORM_BYTES):
        raise _too_large(limit)


def _too_large(limit: int) -> PayloadTooLarge:
    message = f"the upload is larger than this server's limit of {limit} bytes"
    return PayloadTooLarge(message, field=FIELD, details={"max_upload_bytes": limit})


async def _blocks(chunks: AsyncIterator[bytes], form: "FileForm", limit: int) -> AsyncIterator[bytes]:
    """Yield the file's bytes, a mebibyte at a time."""
    received = content = 0
    block = bytearray()
    async for chunk in chunks:
        received += len(chunk)
        block += form.feed(chunk)
        if content + len(block) > limit or received > limit + FORM_BYTES:
            raise _too_large(limit)
        if len(block) >= BLOCK_BYTES:
            content += len(block)
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


async def _in_thread(call: Callable[..., Returned], *arguments: object) -> Returned:
    """Run a call in a thread; a cancellation waits for the thread, which may still use the writer."""
    running = asyncio.get_running_loop().run_in_executor(_threads, call, *arguments)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


class FileForm:
    """Extracts the fields ``file`` and ``track`` from a multipart form, as its bytes arrive (RFC 7578)."""

    def __init__(self, content_type: str | None) -> None:
        self.name: str | None = None
        self._content: list[bytes] = []
        self._track: bytes | None = None
        self._field = ""  # of the part that is arriving
        self._header, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._ended = False
        self._parser = self._parse_by(_boundary(content_type))

    def _parse_by(self, boundary: bytes) -> MultipartParser:
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._add_to_header,
                    "on_header_value": self._add_to_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_content,
                    "on_part_data": self._add_content,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise MalformedRequest(f"Content-Type: {shortened(str(error))}", field="Content-Type") from error

    def feed(self, chunk: bytes) -> bytes:
        """Return the file's bytes in the next chunk of the body.

        Raises:
            MalformedRequest: the body is not a form with that boundary.
            InvalidRequest: the form has another field.
        """
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise MalformedRequest(f"the multipart form is broken: {error}") from error
        content, self._content = b"".join(self._content), []
        return content

    def finish(self) -> str:
        """Return the file's name, once the body has ended.

        Raises:
            MalformedRequest: the form breaks off.
            InvalidRequest: the form has no file.
        """
        if not self._ended:
            raise MalformedRequest("the multipart form breaks off before its closing boundary")
        if self.name is None:
            raise InvalidRequest(f"the form has no field {FIELD!r}", field=FIELD)
        return self.name

    @property
    def track(self) -> int | None:
        """Return the number of the audio track that the sender chose, once the body has ended.

        Raises:
            InvalidRequest: it is not a number from 1 on.
        """
        if self._track is None:
            return None
        text = self._track.decode(errors="replace").strip()
        if not (text.isascii() and text.isdecimal() and int(text)):
            raise InvalidRequest(
                f"{TRACK!r} is {shown(text)}; it must be the number of an audio track, from 1", field=TRACK
            )
        return int(text)

    def _begin_part(self) -> None:
        self._headers = {}

    def _add_to_header(self, data: bytes, start: int, stop: int) -> None:
        self._header += data[start:stop]

    def _add_to_value(self, data: bytes, start: int, stop: int) -> None:
        self._value += data[start:stop]

    def _end_header(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header, self._value = b"", b""

    def _begin_content(self) -> None:
        field, name = parse_part(self._headers.get(b"content-disposition", b""))
        self._field = field
        if field == TRACK:
            if self._track is not None:
                raise InvalidRequest(f"the form has {TRACK!r} twice; name one track", field=TRACK)
            self._track = b""
            return
        if field != FIELD:
            raise InvalidRequest(
                f"unknown form field {shown(field)}; send {FIELD!r}, and {TRACK!r} if the file has several",
                field=shortened(field),
            )
        if self.name is not None:
            raise InvalidRequest(f"the form has {FIELD!r} twice; send one file at a time", field=FIELD)
        if name is None and self._is_text():
            cure = "give the part a file name (with curl, put an @ before the file's path)"
            raise InvalidRequest(f"{FIELD!r} came as text, not as a file; {cure}", field=FIELD)
        self.name = name or ""

    def _is_text(self) -> bool:
        """Return whether the part's type is text, which is the default (RFC 7578, 4.4)."""
        kind, _ = parse_options_header(self._headers.get(b"content-type", b"text/plain"))
        return kind.startswith(b"text/")

    def _add_content(self, data: bytes, start: int, stop: int) -> None:
        if self._field == FIELD:
            self._content.append(data[start:stop])
        else:
            self._track = ((self._track or b"") + data[start:stop])[:MAX_DIGITS]

    def _end(self) -> None:
        self._ended = True


def _boundary(content_type: str | None) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        given = shown(content_type) if content_type else "an untyped body"
        message = f"send multipart/form-data with a field {FIELD!r}, not {given}"
        raise MalformedRequest(message, field="Content-Type")
    if not options.get(b"boundary"):
        raise MalformedRequest("Content-Type: multipart/form-data lacks its boundary", field="Content-Type")
    return options[b"boundary"]
