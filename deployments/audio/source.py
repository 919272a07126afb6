"""Sources: open files that are being decoded, and the blocks of samples that they yield."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from audiograph.errors import AudiographError, InvalidAudio
from deployments.audio.formats.claims import HeaderClaims
from deployments.audio.formats.containers import Container

Block = NDArray[np.float32]
"""Samples ``[frames, channels]``."""
BLOCK_SAMPLES = 1 << 16
"""Samples per block, summed over all channels: 256 KiB of float32."""


class Source(ABC):
    """An open file that is being decoded."""

    sample_rate: int
    """Hz."""
    channels: int
    claimed_seconds: float | None
    """Duration stated by the headers; None if they state none."""

    def __init__(self, container: Container, claims: HeaderClaims) -> None:
        self.container = container
        self.missing = claims.missing
        """Fraction of the claimed bytes that lie beyond the end of the file."""
        self.lost_seconds = 0.0
        """Duration of the damaged packets so far, which could not be decoded."""
        self.reached_seconds = 0.0
        """End of the last packet of any track so far, in seconds of the timeline; 0 if the file has none."""
        self.offset = 0.0
        """Seconds from the beginning of the file's timeline to the first sample."""
        self.track = 1
        """Number of the decoded audio track, from 1."""
        self.notes: list[str] = []
        """Sentences about the file, for its sender. They are complete once all blocks are read."""

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Decode the file to its end. To be called once.

        Raises:
            InvalidAudio: the data is damaged.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the decoder. The file stays open."""


@contextmanager
def refuse_on_error(container: Container) -> Iterator[None]:
    """Turn any exception of a decoder into InvalidAudio: hostile bytes make decoders raise anything."""
    try:
        yield
    except AudiographError:
        raise
    except Exception as error:
        raise InvalidAudio(
            f"the file begins like {container.name} but cannot be decoded: it is damaged, truncated, "
            "or encoded in a way that is not supported",
            field="file",
        ) from error
