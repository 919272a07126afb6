"""The metadata blocks of FLAC: the number of samples it promises, and how much metadata there is."""

from itertools import count
from typing import BinaryIO

from audiograph.errors import InvalidAudio
from deployments.storage.formats.mpeg import after_id3
from deployments.storage.formats.promise import MAX_METADATA_BYTES, Promise

STREAMINFO = 0
LAST = 0x80


def promise(file: BinaryIO, size: int) -> Promise:
    """The duration in STREAMINFO. It is 0 where the encoder wrote to a pipe, which promises nothing.

    Raises:
        InvalidAudio: there is more metadata than is accepted.
    """
    start = at = after_id3(file) + 4
    seconds = None
    for number in count():
        file.seek(at)
        header = file.read(4)
        if len(header) < 4 or at > size:
            break
        if number == 0 and header[0] & ~LAST == STREAMINFO:
            seconds = _seconds(file.read(18))
        at += 4 + int.from_bytes(header[1:], "big")
        _check_size(at - start)
        if header[0] & LAST:
            break
    return Promise(seconds=seconds)


def _seconds(streaminfo: bytes) -> float | None:
    packed = int.from_bytes(streaminfo[10:18], "big")  # 20 bits of rate, 3 and 5 of form, 36 of samples
    sample_rate, samples = packed >> 44, packed & (1 << 36) - 1
    return samples / sample_rate if len(streaminfo) == 18 and sample_rate and samples else None


def _check_size(length: int) -> None:
    if length > MAX_METADATA_BYTES:
        raise InvalidAudio(
            f"the FLAC metadata claims {length} bytes; at most {MAX_METADATA_BYTES} are accepted",
            field="file",
        )
