"""Writes the archive of `torch.save` as PyTorch's writer of 2022 laid it out, byte for byte.

It is a zip of stored entries without dates. Each entry's data begins at a multiple of 64 bytes, and its sizes
follow the data. Today's `torch.save` adds other entries, so it cannot write such a file.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

ALIGNMENT = 64
FLAGS = 0x0808
"""The sizes follow the data, and names are UTF-8."""
VERSION = b"3\n"
"""Content of the entry ``version``."""


def write_archive(target: Path, description: bytes, storages: Sequence[bytes]) -> None:
    """Write an archive.

    Args:
        target: path of the file.
        description: the pickle that refers to the storages by number.
        storages: bytes of each storage, by number; in the file they are sorted by name ("10" before "2").
    """
    entries = [("archive/data.pkl", description)]
    entries += [(f"archive/data/{n}", storages[n]) for n in sorted(range(len(storages)), key=str)]
    entries += [("archive/version", VERSION)]
    directory = b""
    with target.open("wb") as file:
        for name, content in entries:
            directory += _directory_entry(name.encode(), content, file.tell())
            for block in _entry(name.encode(), content, file.tell()):
                file.write(block)
        start = file.tell()
        file.write(directory)
        file.write(_end(len(entries), start, len(directory)))


def _entry(name: bytes, content: bytes, offset: int) -> Iterator[bytes]:
    """Yield header, content and sizes of one entry. An extra field ("FB", then Zs) aligns the content."""
    padding = -(offset + 30 + len(name) + 4) % ALIGNMENT
    yield struct.pack("<4s5H3L2H", b"PK\3\4", 0, FLAGS, 0, 0, 0, 0, 0, 0, len(name), 4 + padding)
    yield name + b"FB" + struct.pack("<H", padding) + b"Z" * padding
    yield content
    yield struct.pack("<4s3L", b"PK\7\x08", zlib.crc32(content), len(content), len(content))


def _directory_entry(name: bytes, content: bytes, offset: int) -> bytes:
    sizes = (zlib.crc32(content), len(content), len(content))
    numbers = (0, 0, FLAGS, 0, 0, 0, *sizes, len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\1\2", *numbers) + name


def _end(entries: int, start: int, size: int) -> bytes:
    """Return the end of the central directory, in the 64-bit form and then in the common one."""
    wide = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 0x031E, 45, 0, 0, entries, entries, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1)
    return wide + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, entries, entries, size, start, 0)
