"""Which container a file is, by its content alone, and which files are refused for being something else.

Only the containers listed here ever reach a decoder, each with its demuxer named beforehand. So playlists,
manifests and scripts that refer to other files or addresses are refused before a decoder can follow them.
"""

import string
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from audiograph.errors import InvalidAudio
from deployments.audio.formats import flac, matroska, mp4, mpeg
from deployments.audio.formats.claims import (
    AIFF_CHUNKS,
    CAF_CHUNKS,
    RF64_CHUNKS,
    RIFF_CHUNKS,
    RIFX_CHUNKS,
    W64_CHUNKS,
    Promise,
    chunk_promise,
    nothing_promised,
    ogg_promise,
)

ACCEPTED = "WAV, FLAC, MP3, M4A or AAC, OGG (Vorbis, Opus, FLAC), WebM, AIFF, CAF or W64"
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Container:
    """A kind of file that is accepted."""

    name: str
    media_type: str
    demuxer: str | None
    """libav's name of the only demuxer that may read it; None: libsndfile reads it."""
    promise: Callable[[BinaryIO, int], Promise]
    """Reads what the headers say is in a file of so many bytes."""
    delay_frames: int = 0
    """How many frames of its encoder's delay and padding a header may count, which no decoder puts out."""


WAV = Container("WAV", "audio/wav", None, chunk_promise(RIFF_CHUNKS))
RIFX = Container("WAV", "audio/wav", None, chunk_promise(RIFX_CHUNKS))
RF64 = Container("WAV (RF64)", "audio/wav", None, chunk_promise(RF64_CHUNKS))
W64 = Container("W64", "audio/x-w64", None, chunk_promise(W64_CHUNKS))
AIFF = Container("AIFF", "audio/aiff", None, chunk_promise(AIFF_CHUNKS))
CAF = Container("CAF", "audio/x-caf", None, chunk_promise(CAF_CHUNKS))
FLAC = Container("FLAC", "audio/flac", "flac", flac.promise)
OGG = Container("OGG", "audio/ogg", "ogg", ogg_promise)
MP3 = Container("MP3", "audio/mpeg", "mp3", mpeg.mp3_promise, delay_frames=3072)
AAC = Container("AAC", "audio/aac", "aac", nothing_promised)
MP4 = Container("MP4", "audio/mp4", "mov", mp4.promise, delay_frames=3072)
WEBM = Container("WebM", "audio/webm", "matroska", matroska.promise)
MATROSKA = Container("Matroska", "audio/matroska", "matroska", matroska.promise)

W64_GUID = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
MP4_FIRST_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")

# What people send by mistake, by its first bytes.
FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"\xcf\xfa\xed\xfe", "a macOS program"),
    (b"#EXTM3U", "a playlist, which only refers to some"),
    (b"[playlist]", "a playlist, which only refers to some"),
    (b"ffconcat", "a playlist, which only refers to some"),
    (b"#!AMR", "an AMR recording"),
    (b"#!", "a script"),
    (b"MThd", "a MIDI score"),
    (b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file"),
    (b"FLV\x01", "a Flash video"),
    (b"SQLite format 3", "a database"),
)


def identify(file: BinaryIO, size: int) -> Container:
    """The container of an open file of ``size`` bytes.

    Raises:
        InvalidAudio: it is empty, or not a container that is accepted; the message says what it looks like.
    """
    if not size:
        raise InvalidAudio(f"the file is empty (0 bytes); send {ACCEPTED}", field="file")
    container = sniff(file)
    if container is None:
        file.seek(0)
        described = _describe(file.read(HEAD_BYTES))
        raise InvalidAudio(f"the file is not audio but {described}; send {ACCEPTED}", field="file")
    return container


def sniff(file: BinaryIO) -> Container | None:
    """The container of an open file, or None if it is none of those accepted."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    found = _by_magic(head)
    if found or any(head.startswith(magic) for magic, _ in FOREIGN):
        return found
    start = mpeg.after_id3(file)
    file.seek(start)
    if start and (behind_tag := _by_magic(file.read(12))) is FLAC:
        return behind_tag  # an ID3 tag before FLAC: against the format's letter, and common
    if mpeg.first_frame(file, start, mpeg.mp3_frame) is not None:
        return MP3
    if mpeg.first_frame(file, start, mpeg.adts_frame) is not None:
        return AAC
    return None


def _by_magic(head: bytes) -> Container | None:
    first, form = head[:4], head[8:12]
    if form == b"WAVE" and first in (b"RIFF", b"RIFX", b"RF64"):
        return {b"RIFF": WAV, b"RIFX": RIFX, b"RF64": RF64}[first]
    if first == b"FORM" and form in (b"AIFF", b"AIFC"):
        return AIFF
    if head.startswith(W64_GUID):
        return W64
    if first == b"\x1a\x45\xdf\xa3":
        return WEBM if b"webm" in head[:64] else MATROSKA
    if head[4:8] in MP4_FIRST_ATOMS:
        return MP4
    return {b"fLaC": FLAC, b"OggS": OGG, b"caff": CAF}.get(first)


def _describe(head: bytes) -> str:
    for magic, what in FOREIGN:
        if head.startswith(magic):
            return what
    if head[:4] == b"RIFF":
        return {b"AVI ": "an AVI video", b"WEBP": "a WebP image"}.get(
            head[8:12], "an unknown kind of RIFF file"
        )
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "an HTML page"
    if text.startswith((b"<?xml", b"<svg", b"<mpd")):
        return "an XML document"
    if head.isascii() and all(chr(byte) in string.printable for byte in head):
        return "text"
    return "of an unknown kind"
