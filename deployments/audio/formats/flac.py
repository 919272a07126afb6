"""Header of FLAC: the number of samples that it claims."""

from typing import BinaryIO

from deployments.audio.formats.claims import HeaderClaims
from deployments.audio.formats.mpeg import after_id3

STREAMINFO_BYTES = 34


def read_claims(file: BinaryIO, size: int) -> HeaderClaims:
    """Read the duration in STREAMINFO. Encoders that write to a pipe leave 0, which is no claim."""
    file.seek(after_id3(file) + 8)  # after "fLaC", and the kind and length of the first block
    streaminfo = file.read(STREAMINFO_BYTES)
    packed = int.from_bytes(streaminfo[10:18], "big")  # bits: 20 rate, 3 channels, 5 depth, 36 samples
    sample_rate, samples = packed >> 44, packed & (1 << 36) - 1
    whole = len(streaminfo) == STREAMINFO_BYTES and sample_rate and samples
    return HeaderClaims(seconds=samples / sample_rate if whole else None)
