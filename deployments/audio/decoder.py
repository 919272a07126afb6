"""Opening of files for decoding: their content decides the container, and the container the decoder.

Both decoders are given an open file, never a name, and libav may open nothing else: a file that refers to
another file or to an address is refused.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path

from audiograph.errors import InvalidAudio
from deployments.audio.formats.claims import HeaderClaims, truncation_error
from deployments.audio.formats.containers import Container, identify
from deployments.audio.formats.views import Repaired
from deployments.audio.libav import AvSource
from deployments.audio.libsndfile import SoundFileSource
from deployments.audio.source import Source, refuse_on_error

MAX_CHANNELS = 1024
"""Limit of libsndfile; the limits of an upload are tighter."""


@contextmanager
def open_source(path: Path, track: int | None = None) -> Iterator[Source]:
    """Open a file for decoding. Its content decides the container; its name is ignored.

    Args:
        path: the file.
        track: number of the audio track, from 1; None takes the default one, as a player does.

    Raises:
        InvalidAudio: the file is not audio in an accepted container, or its headers are invalid, or the
            track does not exist or cannot be decoded.
    """
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        container = identify(file, size)
        claims = container.read_claims(file, size)
        _check_claims(claims)
        content = Repaired(file, claims.sizes) if claims.sizes else file
        try:
            source = _open(content, container, claims, track)
        except InvalidAudio as error:
            if claims.missing > 0.01:
                raise truncation_error(claims.missing) from error
            raise
        try:
            yield source
        finally:
            source.close()


def _open(file: RawIOBase, container: Container, claims: HeaderClaims, track: int | None) -> Source:
    """Open a file by the container's first decoder, or by libav if that one does not know the encoding."""
    file.seek(0)
    if container.by_libsndfile and (track or 1) == 1:
        try:
            with refuse_on_error(container):
                return SoundFileSource(file, container, claims)
        except InvalidAudio:
            file.seek(0)
    with refuse_on_error(container):
        return AvSource(file, container, claims, track)


def _check_claims(claims: HeaderClaims) -> None:
    if claims.channels == 0:
        raise InvalidAudio("the header declares 0 channels; audio has at least 1", field="file")
    if claims.channels is not None and claims.channels > MAX_CHANNELS:
        raise InvalidAudio(
            f"the header declares {claims.channels} channels; at most {MAX_CHANNELS} can be decoded",
            field="file",
        )
    if claims.sample_rate == 0:
        raise InvalidAudio("the header declares a sample rate of 0 Hz; it must be positive", field="file")
