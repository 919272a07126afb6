"""Decoding by libsndfile."""

from collections.abc import Iterator
from io import RawIOBase

import soundfile

from deployments.audio.formats.claims import HeaderClaims
from deployments.audio.formats.containers import Container
from deployments.audio.source import BLOCK_SAMPLES, Block, Source, refuse_on_error


class SoundFileSource(Source):
    """A source decoded by libsndfile."""

    def __init__(self, file: RawIOBase, container: Container, claims: HeaderClaims) -> None:
        super().__init__(container, claims)
        # By an open file: given a name, libsndfile would guess by it and look for a resource fork beside it.
        # By its descriptor if it has one, which saves a call into Python for every few kilobytes.
        opened = file if claims.sizes else file.fileno()
        self._file = soundfile.SoundFile(opened, closefd=False)
        self.sample_rate = self._file.samplerate
        self.channels = self._file.channels
        self.claimed_seconds = claims.seconds

    def blocks(self) -> Iterator[Block]:
        """See `Source.blocks`."""
        frames = max(1, BLOCK_SAMPLES // self.channels)
        while True:
            with refuse_on_error(self.container):
                block = self._file.read(frames, dtype="float32", always_2d=True)
            if not len(block):
                return
            yield block

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()
