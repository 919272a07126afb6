"""Frames of MP3, MP2 and of AAC in ADTS or LOAS: recognizing them, and the claims of an MP3's first frame."""

import struct
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

from audiograph.errors import InvalidAudio
from deployments.audio.formats.claims import MAX_METADATA_BYTES, HeaderClaims

SEARCH_BYTES = 128 * 1024
"""Search range of the first frame after the tags: some encoders pad with zeros."""
MAX_TAGS = 8

MP3_RATES = (44100, 48000, 32000)
MP3_BITRATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MP3_LOW_RATE_BITRATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
MP2_BITRATES = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


class Frame(NamedTuple):
    """One encoded frame: its length in bytes, its samples per channel, and their rate in Hz."""

    length: int
    samples: int
    sample_rate: int


def after_id3(file: BinaryIO) -> int:
    """Return the offset of the first byte after the ID3v2 tags at the start of an open file.

    Raises:
        InvalidAudio: a tag exceeds the limit.
    """
    at = 0
    for _ in range(MAX_TAGS):
        file.seek(at)
        header = file.read(10)
        if len(header) < 10 or header[:3] != b"ID3":
            break
        length = sum((byte & 0x7F) << shift for byte, shift in zip(header[6:], (21, 14, 7, 0), strict=True))
        if length > MAX_METADATA_BYTES:
            raise InvalidAudio(
                f"the file begins with an ID3 tag that claims {length} bytes; "
                f"at most {MAX_METADATA_BYTES} are accepted",
                field="file",
            )
        at += length + (20 if header[5] & 0x10 else 10)
    return at


def mp3_frame(header: bytes) -> Frame | None:
    """Parse four bytes as the header of an MPEG layer III frame; None if they are not one."""
    return _mpeg_frame(header, layer=3)


def mp2_frame(header: bytes) -> Frame | None:
    """Parse four bytes as the header of an MPEG layer II frame; None if they are not one."""
    return _mpeg_frame(header, layer=2)


def _mpeg_frame(header: bytes, layer: int) -> Frame | None:
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or header[1] & 0x18 == 0x08:
        return None
    if header[1] & 0x06 != (4 - layer) << 1:
        return None
    version = (header[1] >> 3) & 3  # 3: MPEG 1, 2: MPEG 2, 0: MPEG 2.5
    bitrate, rate = header[2] >> 4, (header[2] >> 2) & 3
    if bitrate in (0, 15) or rate == 3:
        return None
    sample_rate = MP3_RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    high_rate = MP3_BITRATES if layer == 3 else MP2_BITRATES
    kilobits = (high_rate if version == 3 else MP3_LOW_RATE_BITRATES)[bitrate]
    samples = 1152 if version == 3 or layer == 2 else 576
    return Frame(samples * kilobits * 125 // sample_rate + (header[2] >> 1 & 1), samples, sample_rate)


def adts_frame(header: bytes) -> Frame | None:
    """Parse seven bytes as the header of an ADTS frame of AAC; None if they are not one."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    rate = (header[2] >> 2) & 15
    length = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return Frame(length, 1024, AAC_RATES[rate]) if rate < len(AAC_RATES) and length > 7 else None


def loas_frame(header: bytes) -> Frame | None:
    """Parse three bytes as the header of a LOAS frame, which wraps AAC in LATM; None if they are not one.

    It does not state the sample rate: the frame's content does.
    """
    if len(header) < 3 or header[0] != 0x56 or header[1] & 0xE0 != 0xE0:
        return None
    return Frame(((header[1] & 0x1F) << 8 | header[2]) + 3, 1024, 0)


def first_frame(
    file: BinaryIO, start: int, parse: Callable[[bytes], Frame | None], sync: bytes = b"\xff"
) -> int | None:
    """Return the offset of the first frame at or after ``start`` that another frame, or the end, follows.

    Args:
        file: open.
        start: where the search begins, in bytes.
        parse: parses the header of a frame.
        sync: the first byte of a header.
    """
    file.seek(start)
    window = file.read(SEARCH_BYTES)
    at = window.find(sync)
    while at >= 0:
        frame = parse(window[at : at + 7])
        if frame and _followed(window, at, frame, parse):
            return start + at
        at = window.find(sync, at + 1)
    return None


def _followed(window: bytes, at: int, frame: Frame, parse: Callable[[bytes], Frame | None]) -> bool:
    following = window[at + frame.length : at + frame.length + 7]
    if not following:  # a file of one frame is recognized by its position alone
        return at == 0
    after = parse(following)
    return after is not None and after.sample_rate == frame.sample_rate


def read_mp3_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Read the duration in the Xing, Info or VBRI header, if the first frame is one.

    Constant-rate encoders and radio streams write no such header and so claim nothing: such an MP3 is
    complete wherever it ends.
    """
    offset = first_frame(file, after_id3(file), mp3_frame)
    if offset is None:
        return HeaderClaims()
    file.seek(offset)
    content = file.read(256)
    frame = mp3_frame(content)
    count = _frame_count(content)
    if frame is None or count is None:
        return HeaderClaims()
    return HeaderClaims(seconds=count * frame.samples / frame.sample_rate)


def _frame_count(content: bytes) -> int | None:
    for name in (b"Xing", b"Info"):
        at = content.find(name, 4, 64)
        if at >= 0 and len(content) >= at + 12:
            flags, count = struct.unpack_from(">II", content, at + 4)
            return int(count) if flags & 1 else None
    at = content.find(b"VBRI", 4, 64)
    return int(struct.unpack_from(">I", content, at + 14)[0]) if at >= 0 and len(content) >= at + 18 else None
