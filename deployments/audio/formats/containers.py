"""Identification of a file's container, by its content alone.

Only the containers listed here reach a decoder, each with a fixed demuxer. So playlists, manifests and
scripts that refer to other files or addresses are refused before a decoder could follow them.
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
    HeaderClaims,
    chunk_claims_reader,
    read_no_claims,
    read_ogg_claims,
)

ACCEPTED = "WAV, FLAC, MP3, M4A or AAC, OGG (Vorbis, Opus, FLAC), WebM, AIFF, CAF or W64"
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Container:
    """An accepted kind of file."""

    name: str
    media_type: str
    demuxer: str | None
    """libav's name of the only demuxer that may read it; None if libsndfile reads it."""
    read_claims: Callable[[BinaryIO, int], HeaderClaims]
    """Reads the claims of the headers, from an open file and its size in bytes."""
    delay_frames: int = 0
    """Maximum encoder delay and padding that a header may count although no decoder outputs it, in frames."""


WAV = Container("WAV", "audio/wav", None, chunk_claims_reader(RIFF_CHUNKS))
RIFX = Container("WAV", "audio/wav", None, chunk_claims_reader(RIFX_CHUNKS))
RF64 = Container("WAV (RF64)", "audio/wav", None, chunk_claims_reader(RF64_CHUNKS))
W64 = Container("W64", "audio/x-w64", None, chunk_claims_reader(W64_CHUNKS))
AIFF = Container("AIFF", "audio/aiff", None, chunk_claims_reader(AIFF_CHUNKS))
CAF = Container("CAF", "audio/x-caf", None, chunk_claims_reader(CAF_CHUNKS))
FLAC = Container("FLAC", "audio/flac", "flac", flac.read_claims)
OGG = Container("OGG", "audio/ogg", "ogg", read_ogg_claims)
MP3 = Container("MP3", "audio/mpeg", "mp3", mpeg.read_mp3_claims, delay_frames=3072)
AAC = Container("AAC", "audio/aac", "aac", read_no_claims)
MP4 = Container("MP4", "audio/mp4", "mov", mp4.read_claims, delay_frames=3072)
WEBM = Container("WebM", "audio/webm", "matroska", matroska.read_claims)
MATROSKA = Container("Matroska", "audio/matroska", "matroska", matroska.read_claims)

W64_GUID = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
MP4_FIRST_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")

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
    (b"#EXTM3U", "a playlist, which only refers to audio"),
    (b"[playlist]", "a playlist, which only refers to audio"),
    (b"ffconcat", "a playlist, which only refers to audio"),
    (b"#!AMR", "an AMR recording"),
    (b"#!", "a script"),
    (b"MThd", "a MIDI score"),
    (b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file"),
    (b"FLV\x01", "a Flash video"),
    (b"SQLite format 3", "a database"),
)
"""Kinds of file that are often sent by mistake, by their first bytes."""


def identify(file: BinaryIO, size: int) -> Container:
    """Return the container of an open file of ``size`` bytes.

    Raises:
        InvalidAudio: the file is empty or not an accepted container; the message names the kind of file
            that it appears to be.
    """
    if not size:
        raise InvalidAudio(f"the file is empty (0 bytes); send {ACCEPTED}", field="file")
    container = _sniff(file)
    if container is None:
        file.seek(0)
        described = _describe(file.read(HEAD_BYTES))
        raise InvalidAudio(f"the file is not audio but {described}; send {ACCEPTED}", field="file")
    return container


def _sniff(file: BinaryIO) -> Container | None:
    """Return the container of an open file; None if it is not an accepted one."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    found = _by_magic(head)
    if found or any(head.startswith(magic) for magic, _ in FOREIGN):
        return found
    start = mpeg.after_id3(file)
    file.seek(start)
    if start and _by_magic(file.read(12)) is FLAC:
        return FLAC  # an ID3 tag before FLAC violates the format, and is common
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
    """Return the kind of a file that is not audio, for the error message."""
    for magic, kind in FOREIGN:
        if head.startswith(magic):
            return kind
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
