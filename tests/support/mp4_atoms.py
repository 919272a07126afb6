"""MP4 files that no encoder writes, built atom by atom."""

import struct

SAMPLE_RATE = 44_100


def atom(kind: bytes, *parts: bytes) -> bytes:
    """Build an atom of its size, kind and body."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def full(kind: bytes, *parts: bytes, flags: int = 0) -> bytes:
    """Build an atom with a version (0) and flags."""
    return atom(kind, struct.pack(">I", flags), *parts)


def numbers(*values: int) -> bytes:
    """Pack 32-bit numbers, as in most tables."""
    return struct.pack(f">{len(values)}I", *values)


FTYP = atom(b"ftyp", b"M4A ", numbers(0), b"isom")


def movie(samples: int, *tables: bytes, reference: bytes = b"", more: bytes = b"") -> bytes:
    """Build the index of a file with one track of AAC."""
    entry = atom(b"mp4a", bytes(6), struct.pack(">H8xHHHHI", 1, 1, 16, 0, 0, SAMPLE_RATE << 16))
    reference = reference or full(b"url ", flags=1)  # 1: the samples are in this file
    minf = atom(
        b"minf",
        full(b"smhd", bytes(4)),
        atom(b"dinf", full(b"dref", numbers(1), reference)),
        atom(b"stbl", full(b"stsd", numbers(1), entry), *tables),
    )
    mdia = atom(
        b"mdia",
        full(b"mdhd", numbers(0, 0, SAMPLE_RATE, min(samples * 1024, 2**32 - 1), 0)),
        full(b"hdlr", bytes(4), b"soun", bytes(13)),
        minf,
    )
    track = full(b"tkhd", numbers(0, 0, 1, 0, samples), bytes(60), flags=7)
    header = full(b"mvhd", numbers(0, 0, SAMPLE_RATE, samples), bytes(80))
    return atom(b"moov", header, atom(b"trak", track, mdia), more)


def tables(samples: int) -> tuple[bytes, ...]:
    """Build the tables of ``samples`` samples of one byte, in one chunk."""
    return (
        full(b"stts", numbers(1, samples, 1024)),
        full(b"stsc", numbers(1, 1, samples, 1)),
        full(b"stsz", numbers(1, samples)),
        full(b"stco", numbers(1, len(FTYP) + 8)),
    )


def index_bomb(samples: int) -> bytes:
    """Build a file of 600 bytes whose index claims ``samples`` samples."""
    return FTYP + atom(b"mdat", bytes(64)) + movie(samples, *tables(samples))


def run_bomb(samples: int) -> bytes:
    """Build a fragmented file of 600 bytes whose one run claims ``samples`` samples of default size."""
    no_samples = (full(b"stts", numbers(0)), full(b"stsc", numbers(0)), full(b"stsz", numbers(0, 0)))
    extends = atom(b"mvex", full(b"trex", numbers(1, 1, 1024, 1, 0)))
    fragment = atom(
        b"moof",
        full(b"mfhd", numbers(1)),
        atom(b"traf", full(b"tfhd", numbers(1)), full(b"trun", numbers(samples))),
    )
    return FTYP + movie(0, *no_samples, more=extends) + fragment + atom(b"mdat", bytes(64))


def nested(depth: int) -> bytes:
    """Build nested tracks."""
    content = b""
    for _ in range(depth):
        content = atom(b"trak", content)
    return FTYP + atom(b"moov", content)


def referring(url: str) -> bytes:
    """Build a file whose samples are claimed to be at a URL."""
    reference = full(b"url ", url.encode(), b"\0")
    return FTYP + atom(b"mdat", bytes(64)) + movie(40, *tables(40), reference=reference)


def alias(path: str) -> bytes:
    """Build a file that refers to a path by QuickTime's alias record, which libav can follow."""
    name = path.rpartition("/")[2].encode()[:63]
    fixed = bytes(10 + 1 + 27 + 12) + bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    levels = struct.pack(">HH", 1, 1) + bytes(16)  # up from this file to a folder, down from there
    absolute = path.encode() + b"\0" * (len(path) % 2)
    record = fixed + levels + struct.pack(">HH", 2, len(path)) + absolute + struct.pack(">HH", 0xFFFF, 0)
    reference = full(b"alis", record)
    return FTYP + atom(b"mdat", bytes(64)) + movie(40, *tables(40), reference=reference)
