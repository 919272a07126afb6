"""Malformed and hostile uploads: each is refused with a 4xx whose message names the fault, or, if only its
name is hostile, stored under a safe name."""

import gzip
import io
import math
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.support import mp4_atoms as atoms
from tests.support.sounds import CONTAINERS, file_bytes, patched, tone, video_bytes, wav_bytes

TEN_HOURS = 36_000
SECOND = tone(seconds=1.0)


@dataclass(frozen=True)
class HostileFile:
    """One upload, and the expected response."""

    name: str
    """File name of the upload."""
    content: bytes | Callable[[], bytes]
    why: str
    expected_status: int = 422
    expected_words: tuple[str, ...] = ()
    """Words of the error message, in any case."""
    stored_name: str | None = None
    """Name under which it is stored, if it is accepted."""

    def read(self) -> bytes:
        """Return the bytes to send."""
        return self.content if isinstance(self.content, bytes) else self.content()


HOSTILE: dict[str, HostileFile] = {}
"""All hostile uploads, by a name for the test report."""


def _add(
    key: str, name: str, content: bytes | Callable[[], bytes], why: str, *words: str, **more: Any
) -> None:
    if key in HOSTILE:
        raise ValueError(f"there are two hostile files called {key}")
    HOSTILE[key] = HostileFile(name, content, why, expected_words=words, **more)


def in_second(container: str) -> bytes:
    """Encode one second of a tone in a container."""
    rate = 48_000 if "opus" in container or "webm" in container else 44_100
    return CONTAINERS[container](tone(seconds=1.0, sample_rate=rate), rate)


def half(container: str) -> Callable[[], bytes]:
    """Return a function that returns the first half of a file."""

    def cut() -> bytes:
        content = in_second(container)
        return content[: len(content) // 2]

    return cut


def wav(at: int, form: str, *values: int | float | bytes, subtype: str = "PCM_16") -> Callable[[], bytes]:
    """Return a function that returns a WAV file with overwritten values in its header or its samples."""
    return lambda: patched(wav_bytes(SECOND, subtype=subtype), at, form, *values)


def zipped() -> bytes:
    """Build a ZIP archive with a valid WAV file."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("sound.wav", wav_bytes(SECOND))
    return target.getvalue()


def flac_claiming(seconds: int) -> bytes:
    """Build a FLAC whose header claims a duration: the low 32 of 36 bits at offset 22."""
    return patched(in_second("flac"), 22, ">I", seconds * 44_100)


def mp3_claiming(seconds: int) -> bytes:
    """Build an MP3 whose Xing header claims a duration."""
    content = in_second("mp3")
    at = max(content.find(b"Xing"), content.find(b"Info"))
    return patched(content, at + 8, ">I", seconds * 44_100 // 1152)


def m4a_claiming(seconds: int) -> bytes:
    """Build an M4A whose track header claims a duration."""
    content = in_second("m4a")
    return patched(content, content.find(b"mdhd") + 20, ">I", seconds * 44_100)


def webm_claiming(seconds: int) -> bytes:
    """Build a WebM whose Info claims a duration, in milliseconds."""
    content = in_second("webm")
    return patched(content, content.find(b"\x44\x89\x88") + 3, ">d", seconds * 1000.0)


def silence_bomb() -> bytes:
    """Encode five hours of silence in a few kilobytes."""
    return file_bytes(np.zeros((1, 5 * 3600 * 1000), np.float32), 1000, format="FLAC", subtype="PCM_16")


def with_middle_zeroed(container: str) -> bytes:
    """Build a file whose second third is zeros."""
    content = in_second(container)
    third = len(content) // 3
    return content[:third] + bytes(third) + content[2 * third :]


def scrambled_aac() -> bytes:
    """Build AAC with valid frame headers and random frame contents."""
    content = bytearray(in_second("aac"))
    random = np.random.default_rng(5)
    at = 0
    while at + 7 < len(content):
        length = (content[at + 3] & 3) << 11 | content[at + 4] << 3 | content[at + 5] >> 5
        content[at + 7 : at + length] = random.bytes(length - 7)
        at += length
    return bytes(content)


# Not audio at all.
_add("empty", "empty.wav", b"", "no bytes", "empty", "0 bytes")
_add("one_byte", "one.mp3", b"\xff", "a single byte", "not audio")
_add("text", "song.mp3", b"la la la\n" * 50, "text by the name of audio", "text", "not audio")
_add("html", "download.wav", b"<!DOCTYPE html><html>404</html>", "a web server's error page", "HTML")
_add("json", "sound.flac", b'{"error": "not found"}', "an API's error", "text")
_add("xml", "sound.ogg", b'<?xml version="1.0"?><a/>', "XML", "XML")
_add("svg", "wave.webm", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a picture in XML", "XML")
_add("zip", "renamed.wav", zipped, "an archive by the name of audio", "ZIP", "not audio")
_add("gzip", "sound.wav.gz", lambda: gzip.compress(wav_bytes(SECOND)), "compressed audio", "gzip")
_add("pdf", "score.wav", b"%PDF-1.7\n" + bytes(500), "a document", "PDF")
_add("png", "cover.mp3", b"\x89PNG\r\n\x1a\n" + bytes(500), "an image", "PNG")
_add("jpeg", "cover.m4a", b"\xff\xd8\xff\xe0" + bytes(500), "an image that begins like an MPEG frame", "JPEG")
_add("webp", "cover.wav", b"RIFF\x00\x01\x00\x00WEBPVP8 " + bytes(250), "an image in RIFF", "WebP")
_add("avi", "clip.wav", b"RIFF\x00\x01\x00\x00AVI LIST" + bytes(250), "a video in RIFF", "AVI")
_add("exe", "setup.wav", b"MZ\x90\x00" + bytes(500), "a Windows program", "program")
_add("elf", "a.out.flac", b"\x7fELF\x02\x01\x01" + bytes(500), "a Linux program", "program")
_add("script", "run.mp3", b"#!/bin/sh\nrm -rf ~\n", "a shell script", "script")
_add("midi", "song.mid", b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x00\x60", "notes without sound", "MIDI")
_add("zeros", "zeros.mp3", bytes(100_000), "nothing but zeros", "not audio")
_add("ones", "ones.mp3", b"\xff" * 100_000, "a sync word without end", "not audio")
_add("noise", "noise.bin", np.random.default_rng(7).bytes(100_000), "random bytes", "not audio")

# Files that only refer to others.
_add("m3u", "list.mp3", b"#EXTM3U\nfile:///etc/passwd\n", "a playlist of local files", "playlist")
_add(
    "hls",
    "live.m3u8",
    b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:1/a.ts\n#EXT-X-ENDLIST\n",
    "a playlist of addresses",
    "playlist",
)
_add(
    "concat", "list.wav", b"ffconcat version 1.0\nfile '/etc/passwd'\n", "ffmpeg's list of files", "playlist"
)
_add("pls", "radio.pls", b"[playlist]\nFile1=http://127.0.0.1:1/\n", "a radio's address", "playlist")
_add("dash", "a.mpd", b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"/>', "a manifest of addresses", "XML")
_add(
    "mp4_file_reference",
    "ref.m4a",
    lambda: atoms.referring("file:///etc/passwd"),
    "an MP4 whose samples are in another file",
    "MP4",
)
_add(
    "mp4_address_reference",
    "ref.m4a",
    lambda: atoms.referring("http://127.0.0.1:1/a.mp4"),
    "an MP4 whose samples are at an address",
    "MP4",
)

# WAV and its kin.
_add(
    "wav_header_only", "a.wav", lambda: wav_bytes(SECOND)[:44], "a header and no samples", "truncated", "100%"
)
_add("wav_no_samples", "a.wav", lambda: wav_bytes(np.zeros((1, 0), np.float32)), "no samples", "0.0 ms")
_add("wav_half", "a.wav", half("wav"), "cut off midway", "claims 1.0 s", "only 0.5 s")
_add(
    "wav_ten_hours", "a.wav", wav(40, "<I", TEN_HOURS * 88_200), "a false header", "claims 36000.0 s", "1.0 s"
)
_add(
    "rf64_ten_hours", "a.wav", lambda: patched(in_second("rf64"), 28, "<Q", 10**12), "a 64-bit lie", "claims"
)
_add("wav_no_channels", "a.wav", wav(22, "<H", 0), "zero channels", "0 channels")
_add("wav_many_channels", "a.wav", wav(22, "<H", 60_000), "60,000 channels", "60000 channels", "1024")
_add("wav_33_channels", "a.wav", lambda: wav_bytes(tone(channels=33)), "over the limit", "33 channels", "32")
_add("wav_rate_zero", "a.wav", wav(24, "<I", 0), "a sample rate of zero", "sample rate", "0 Hz")
_add("wav_rate_low", "a.wav", wav(24, "<I", 100), "a sample rate of 100 Hz", "sample rate", "100 Hz", "1000")
_add("wav_rate_high", "a.wav", wav(24, "<I", 2_000_000_000), "2 GHz", "sample rate", "2000000000 Hz")
_add("wav_no_bits", "a.wav", wav(34, "<H", 0), "samples of 0 bits", "cannot be decoded")
_add("wav_unknown_codec", "a.wav", wav(20, "<H", 0x7A7A), "an unknown codec", "cannot be decoded")
_add("wav_no_format", "a.wav", wav(12, "4s", b"junk"), "no fmt chunk", "cannot be decoded")
_add("wav_short", "a.wav", lambda: wav_bytes(tone(seconds=0.005)), "5 ms", "5.0 ms", "at least 10 ms")
_add("wav_nan", "a.wav", wav(-400, "<f", math.nan, subtype="FLOAT"), "NaN among the samples", "nan", "finite")
_add(
    "wav_infinity", "a.wav", wav(-400, "<f", math.inf, subtype="FLOAT"), "an infinite sample", "inf", "finite"
)
_add("wav_huge", "a.wav", wav(-400, "<f", 1e30, subtype="FLOAT"), "a sample of 1e30", "1e+30", "-1 to 1")
_add("aiff_half", "a.aiff", half("aiff"), "cut off midway", "claims 1.0 s", "only 0.5 s")
_add("caf_half", "a.caf", half("caf"), "cut off midway", "truncated")
_add("w64_half", "a.w64", half("w64"), "cut off midway", "claims 1.0 s", "only 0.5 s")

# FLAC.
_add("flac_half", "a.flac", half("flac"), "cut off midway", "claims 1.0 s", "truncated")
_add("flac_header_only", "a.flac", lambda: in_second("flac")[:42], "a header and no frames", "FLAC")
_add("flac_ten_hours", "a.flac", lambda: flac_claiming(TEN_HOURS), "a false header", "claims 36000.0 s")
_add(
    "flac_no_rate",
    "a.flac",
    lambda: patched(in_second("flac"), 18, ">H", 0),
    "a rate of 4 Hz",
    "claims 11025.0 s",
)
_add("flac_blocks", "a.flac", lambda: patched(in_second("flac"), 8, ">HH", 65_535, 1), "block sizes", "FLAC")
_add("flac_damaged", "a.flac", lambda: with_middle_zeroed("flac"), "a hole", "only", "could be decoded")
_add("flac_bomb", "a.flac", silence_bomb, "5 hours in a few kilobytes", "longer than 14400 s")

# MP3.
_add("mp3_half", "a.mp3", half("mp3"), "cut off midway", "claims 1.", "only 0.")
_add("mp3_ten_hours", "a.mp3", lambda: mp3_claiming(TEN_HOURS), "a false header", "claims 3", "only 1.0 s")
_add("id3_only", "a.mp3", b"ID3\x04\x00\x00\x00\x00\x03\x76" + bytes(502), "tags without music", "not audio")
_add(
    "id3_huge", "a.mp3", b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f" + bytes(99), "256 MB of tags", "ID3", "268435455"
)

# MP4.
_add("m4a_half", "a.m4a", half("m4a"), "cut off before its index", "truncated")
_add("m4a_faststart_half", "a.m4a", half("faststart.m4a"), "cut off behind its index", "truncated")
_add("m4a_ten_hours", "a.m4a", lambda: m4a_claiming(TEN_HOURS), "a false header", "claims 36000.0 s")
_add("mp4_video", "clip.mp4", video_bytes, "a video without sound", "no audio track")
_add("mp4_index_bomb", "a.m4a", lambda: atoms.index_bomb(80_000_000), "600 bytes, 3 GB of index", "index")
_add("mp4_run_bomb", "a.m4a", lambda: atoms.run_bomb(80_000_000), "the same in a fragment", "index")
_add(
    "mp4_compressed", "a.m4a", lambda: atoms.atom(b"moov", atoms.atom(b"cmov")), "zipped index", "compressed"
)
_add("mp4_nested", "a.m4a", lambda: atoms.nested(2000), "atoms 2,000 deep", "MP4")
_add("mp4_garbage", "a.m4a", atoms.FTYP + np.random.default_rng(3).bytes(5000), "garbage for atoms", "MP4")
_add("mp4_huge_tags", "a.m4a", atoms.FTYP + struct.pack(">I4s", 2**31, b"moov"), "2 GB of tags", "metadata")

# AAC, OGG, WebM.
_add("aac_scrambled", "a.aac", scrambled_aac, "good headers, random frames", "damaged")
_add("vorbis_half", "a.ogg", half("vorbis.ogg"), "cut off midway", "truncated")
_add("opus_half", "a.opus", half("opus.ogg"), "cut off midway", "truncated")
_add("ogg_headers_only", "a.ogg", lambda: in_second("vorbis.ogg")[:58], "a first page alone", "OGG")
_add("ogg_garbage", "a.ogg", b"OggS\x00\x02" + bytes(200), "an empty page", "OGG")
_add("webm_half", "a.webm", half("webm"), "cut off midway", "claims 1.0 s", "only")
_add("webm_ten_hours", "a.webm", lambda: webm_claiming(TEN_HOURS), "a false header", "claims 36000.0 s")
_add("webm_video", "clip.webm", lambda: video_bytes("webm"), "a video without sound", "no audio track")
_add("webm_header_only", "a.webm", lambda: in_second("webm")[:48], "a header alone", "truncated")

# Names. Valid audio is stored under a safe name; other content is refused as under any name.
for _key, _name, _stored in (
    ("traversal", "../../etc/passwd", "passwd"),
    ("windows_traversal", "..\\..\\windows\\win.wav", "win.wav"),
    ("absolute", "/etc/shadow.wav", "shadow.wav"),
    ("dots", "..", "unnamed"),
    ("newline", "a\r\nSet-Cookie: b=c.wav", "aSet-Cookie: b=c.wav"),
    ("nul", "a.wav\x00.png", "a.wav.png"),
    ("long", "n" * 300 + ".wav", "n" * 251 + ".wav"),
):
    _add(f"name_{_key}", _name, wav_bytes, "its name alone", expected_status=201, stored_name=_stored)
    _add(f"name_{_key}_text", _name, b"root:x:0:0:root", "its name, and it is text", "text", "not audio")

PATH_TRICKS = (
    "/etc/passwd",
    "//etc/passwd",
    "/etc/../etc/passwd",
    "../secret",
    "../../../../../../etc/passwd",
    "a/../../secret",
    "./../secret",
    ".../...//secret",
    "..",
    ".",
    "~/secret",
    "~root",
    "$HOME/secret",
    "file:///etc/passwd",
    "http://127.0.0.1/secret.wav",
    "s3://bucket/secret.wav",
    "..\\..\\secret",
    "C:\\Windows\\win.ini",
    "\\\\host\\share\\secret.wav",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "%2fetc%2fpasswd",
    "..%c0%afsecret",
    "\u2025/secret",
    "\uff0e\uff0e/secret",
    "anna.wav\0.txt",
    "anna.wav\n../secret",
    "/proc/self/environ",
    "/dev/stdin",
    "a" * 5000,
)
"""Names that try to lead out of a folder, or to something other than a file in it."""
