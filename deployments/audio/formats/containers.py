"""Identification of a file's container, by its content alone.

Only the containers listed here reach a decoder, each with a fixed demuxer. So playlists, manifests and
scripts that refer to other files or addresses are refused before a decoder could follow them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from audiograph.errors import InvalidAudio
from deployments.audio.formats import chunks, flac, matroska, mp4, mpeg, ogg, others, windows_media
from deployments.audio.formats.claims import HeaderClaims, read_no_claims

ACCEPTED = (
    "WAV, FLAC, MP3, M4A or AAC, OGG (Vorbis, Opus, FLAC), WebM, Matroska, AIFF, CAF, W64, AU, MP2, AC-3, "
    "WavPack, TTA, AMR, WMA, IRCAM, AVI or MPEG-TS"
)
HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Container:
    """An accepted kind of file."""

    name: str
    media_type: str
    demuxer: str
    """libav's name of the only demuxer that may read it."""
    read_claims: Callable[[BinaryIO, int], HeaderClaims] = read_no_claims
    """Reads the claims of the headers, from an open file and its size in bytes."""
    by_libsndfile: bool = False
    """Whether libsndfile reads it, and libav only the encodings that libsndfile does not know."""
    has_timeline: bool = False
    """Whether each of its packets has a time, so that gaps and a late beginning can be seen."""
    begins_at_zero: bool = False
    """Whether its timeline begins at 0, even if no track does, so that the first packet's time is a delay."""
    delay_frames: int = 0
    """Maximum encoder delay and padding that a header may count although no decoder outputs it, in frames."""


def _chunked(name: str, media_type: str, demuxer: str, layout: chunks.ChunkLayout) -> Container:
    return Container(name, media_type, demuxer, chunks.claims_reader(layout), by_libsndfile=True)


WAV = _chunked("WAV", "audio/wav", "wav", chunks.RIFF)
RIFX = _chunked("WAV", "audio/wav", "wav", chunks.RIFX)
RF64 = _chunked("WAV (RF64)", "audio/wav", "wav", chunks.RIFF)
BW64 = _chunked("WAV (BW64)", "audio/wav", "wav", chunks.RIFF)
W64 = _chunked("W64", "audio/x-w64", "w64", chunks.W64)
AIFF = _chunked("AIFF", "audio/aiff", "aiff", chunks.AIFF)
CAF = _chunked("CAF", "audio/x-caf", "caf", chunks.CAF)
AU = Container("AU", "audio/basic", "au", chunks.read_au_claims, by_libsndfile=True)
IRCAM = Container("IRCAM", "audio/x-ircam", "ircam", by_libsndfile=True)
FLAC = Container("FLAC", "audio/flac", "flac", flac.read_claims)
OGG = Container("OGG", "audio/ogg", "ogg", ogg.read_claims, has_timeline=True)
MP3 = Container("MP3", "audio/mpeg", "mp3", mpeg.read_mp3_claims, delay_frames=3072)
MP2 = Container("MP2", "audio/mpeg", "mp3")
AAC = Container("AAC", "audio/aac", "aac")
LOAS = Container("AAC (LATM in LOAS)", "audio/aac", "loas")
AC3 = Container("AC-3", "audio/ac3", "ac3")
EAC3 = Container("E-AC-3", "audio/eac3", "eac3")
WAVPACK = Container("WavPack", "audio/x-wavpack", "wv")
TTA = Container("TTA", "audio/x-tta", "tta")
AMR = Container("AMR", "audio/amr", "amr")
AMR_WB = Container("AMR-WB", "audio/amr-wb", "amr")
MP4 = Container(
    "MP4", "audio/mp4", "mov", mp4.read_claims, has_timeline=True, begins_at_zero=True, delay_frames=3072
)
WEBM = Container("WebM", "audio/webm", "matroska", matroska.read_claims, has_timeline=True)
MATROSKA = Container("Matroska", "audio/matroska", "matroska", matroska.read_claims, has_timeline=True)
MPEG_TS = Container("MPEG-TS", "video/mp2t", "mpegts", has_timeline=True)
MPEG_PS = Container("MPEG-PS", "video/mpeg", "mpeg", has_timeline=True)
ASF = Container("Windows Media", "audio/x-ms-wma", "asf", windows_media.read_claims, has_timeline=True)
AVI = Container("AVI", "video/x-msvideo", "avi", chunks.read_avi_claims, begins_at_zero=True)
VOC = Container("Creative Voice", "audio/x-voc", "voc")
SPHERE = Container("NIST SPHERE", "audio/x-nist", "nistsphere")
FLASH = Container("Flash video", "video/x-flv", "flv", has_timeline=True)

TS_PACKET_BYTES = 188
TS_SYNC = b"\x47"
EAC3_FIRST_ID = 11
"""The first bitstream id of E-AC-3; AC-3 has lower ones."""
W64_GUID = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
BY_FORM: dict[tuple[bytes, bytes], Container] = {
    (b"RIFF", b"WAVE"): WAV,
    (b"RIFX", b"WAVE"): RIFX,
    (b"RF64", b"WAVE"): RF64,
    (b"BW64", b"WAVE"): BW64,
    (b"RIFF", b"AVI "): AVI,
    (b"FORM", b"AIFF"): AIFF,
    (b"FORM", b"AIFC"): AIFF,
}
"""Containers by the first four bytes, and by those after the size."""
BY_MAGIC: tuple[tuple[bytes, Container], ...] = (
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"caff", CAF),
    (W64_GUID, W64),
    (b".snd", AU),
    (b"dns.", AU),
    *((bytes((0x64, 0xA3, kind, 0)), IRCAM) for kind in range(1, 5)),
    *((bytes((0, kind, 0xA3, 0x64)), IRCAM) for kind in range(1, 5)),
    (b"wvpk", WAVPACK),
    (b"TTA1", TTA),
    (b"#!AMR\n", AMR),
    (b"#!AMR-WB\n", AMR_WB),
    (b"Creative Voice File\x1a", VOC),
    (b"NIST_1A\n", SPHERE),
    (b"FLV\x01", FLASH),
    (b"\x00\x00\x01\xba", MPEG_PS),
    (windows_media.HEADER_GUID, ASF),
)
"""Containers by their first bytes."""
MP4_FIRST_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


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
        raise InvalidAudio(f"{others.refusal(file.read(HEAD_BYTES))}; send {ACCEPTED}", field="file")
    return container


def _sniff(file: BinaryIO) -> Container | None:
    """Return the container of an open file; None if it is not an accepted one."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    found = _by_magic(head)
    if found or others.is_named(head):
        return found
    start = mpeg.after_id3(file)
    file.seek(start)
    if start and (tagged := _by_magic(file.read(HEAD_BYTES))) in (FLAC, WAVPACK, TTA, AC3, EAC3):
        return tagged  # an ID3 tag before them violates their formats, and is common
    for parse, container in ((mpeg.mp3_frame, MP3), (mpeg.mp2_frame, MP2), (mpeg.adts_frame, AAC)):
        if mpeg.first_frame(file, start, parse) is not None:
            return container
    return LOAS if mpeg.first_frame(file, start, mpeg.loas_frame, sync=b"\x56") is not None else None


def _by_magic(head: bytes) -> Container | None:
    """Return the container that begins with these bytes; None if there is none."""
    if (head[:4], head[8:12]) in BY_FORM:
        return BY_FORM[head[:4], head[8:12]]
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return WEBM if b"webm" in head[:64] else MATROSKA
    if head.startswith(b"\x0b\x77") and len(head) > 5:
        return EAC3 if head[5] >> 3 >= EAC3_FIRST_ID else AC3
    if head[4:8] in MP4_FIRST_ATOMS:
        return MP4
    if _is_transport_stream(head):
        return MPEG_TS
    return next((container for magic, container in BY_MAGIC if head.startswith(magic)), None)


def _is_transport_stream(head: bytes) -> bool:
    """Return whether packets of 188 bytes follow each other, or of 192 with a time before each (M2TS)."""
    for start, step in ((0, TS_PACKET_BYTES), (4, TS_PACKET_BYTES + 4)):
        marks = [head[at : at + 1] for at in range(start, min(len(head), start + 4 * step), step)]
        if len(marks) > 1 and all(mark == TS_SYNC for mark in marks):
            return True
    return False
