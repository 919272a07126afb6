"""The header of FLAC: the number of samples that it promises."""

from typing import BinaryIO

from deployments.audio.formats.claims import Promise
from deployments.audio.formats.mpeg import after_id3

STREAMINFO_BYTES = 34


def promise(file: BinaryIO, size: int) -> Promise:
    """The duration in STREAMINFO. It is 0 where the encoder wrote to a pipe, which promises nothing."""
    file.seek(after_id3(file) + 8)  # behind "fLaC", and the kind and length of the first block
    streaminfo = file.read(STREAMINFO_BYTES)
    packed = int.from_bytes(streaminfo[10:18], "big")  # 20 bits of rate, 3 and 5 of form, 36 of samples
    sample_rate, samples = packed >> 44, packed & (1 << 36) - 1
    whole = len(streaminfo) == STREAMINFO_BYTES and sample_rate and samples
    return Promise(seconds=samples / sample_rate if whole else None)
