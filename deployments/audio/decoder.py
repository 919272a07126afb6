"""Decoding of files to blocks of samples: libsndfile for WAV, AIFF, CAF and W64, libav for all others.

The container is identified by its content before a decoder is chosen. Both decoders are given an open file,
never a name, and libav may open nothing else: a file that refers to another file or to an address is refused.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import chain, islice
from pathlib import Path
from typing import Any, NoReturn

import av
import numpy as np
import soundfile
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard
from numpy.typing import NDArray

from audiograph.errors import AudiographError, InvalidAudio
from deployments.audio.formats.claims import HeaderClaims, truncation_error
from deployments.audio.formats.containers import Container, identify

Block = NDArray[np.float32]
"""Samples ``[frames, channels]``."""

MAX_READ_BYTES = 64 * 1024**2
"""Limit of the bytes that libav may read between two packets of audio: it holds all of them in memory."""
BLOCK_SAMPLES = 1 << 16
"""Samples per block, summed over all channels: 256 KiB of float32."""
AUDIO_CODECS = ("aac", "alac", "flac", "mp3", "mp3float", "opus", "vorbis")
MAX_CHANNELS = 1024
"""Limit of libsndfile; the limits of an upload are tighter."""


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

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Decode the file to its end. To be called once.

        Raises:
            InvalidAudio: the data is damaged, or its sample rate or channels change midway.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the decoder. The file stays open."""


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file for decoding. Its content decides the container; its name is ignored.

    Raises:
        InvalidAudio: the file is not audio in an accepted container, or its headers are invalid.
    """
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        container = identify(file, size)
        claims = container.read_claims(file, size)
        _check_claims(claims)
        file.seek(0)
        decoder = AvSource if container.demuxer else SoundFileSource
        try:
            with _refuse_on_error(container):
                source = decoder(file, container, claims)
        except InvalidAudio as error:
            if claims.missing > 0.01:
                raise truncation_error(claims.missing) from error
            raise
        try:
            yield source
        finally:
            source.close()


@contextmanager
def _refuse_on_error(container: Container) -> Iterator[None]:
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


class SoundFileSource(Source):
    """A source decoded by libsndfile."""

    def __init__(self, file: FileIO, container: Container, claims: HeaderClaims) -> None:
        super().__init__(container, claims)
        # By descriptor: given a name, libsndfile would guess by it and look for a resource fork beside it.
        self._file = soundfile.SoundFile(file.fileno(), closefd=False)
        self.sample_rate = self._file.samplerate
        self.channels = self._file.channels
        self.claimed_seconds = claims.seconds

    def blocks(self) -> Iterator[Block]:
        """See `Source.blocks`."""
        frames = max(1, BLOCK_SAMPLES // self.channels)
        while True:
            with _refuse_on_error(self.container):
                block = self._file.read(frames, dtype="float32", always_2d=True)
            if not len(block):
                return
            yield block

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()


class AvSource(Source):
    """A source decoded by libav."""

    def __init__(self, file: FileIO, container: Container, claims: HeaderClaims) -> None:
        super().__init__(container, claims)
        self._reader = _BoundedReader(file)
        try:
            self._input = _open_input(self._reader, container)
        except av.FFmpegError:
            self._reader.check()
            raise
        self.claimed_seconds = claims.seconds
        try:
            self._start()
        except BaseException:
            self._input.close()
            raise

    def _start(self) -> None:
        """Choose the audio track and decode its first frame, which has the sample rate and the channels."""
        name = self.container.name
        if not self._input.streams.audio:
            raise InvalidAudio(f"the {name} file has no audio track; send one with sound", field="file")
        self._stream = self._input.streams.audio[0]
        _check_codec(name, getattr(self._stream.codec_context, "name", "something unknown"))
        for other in self._input.streams:
            if other is not self._stream:
                other.discard = Discard.all
        if self.container.demuxer == "mov" and self._stream.duration and self._stream.time_base:
            seconds = float(self._stream.duration * self._stream.time_base)
            self.claimed_seconds = max(seconds, self.claimed_seconds or 0.0)
        self._frames = self._decode()
        self._first = list(islice(self._frames, 1))
        if not self._first:
            raise InvalidAudio(
                f"no audio could be decoded from the {name} file: it is empty, damaged or truncated",
                field="file",
            )
        self.sample_rate = self._first[0].sample_rate
        self.channels = self._first[0].layout.nb_channels

    def _decode(self) -> Iterator[AudioFrame]:
        """Yield all frames; count the duration of packets that cannot be decoded as lost."""
        seconds = 0.0
        for packet in self._input.demux(self._stream):
            self._reader.reset()
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.lost_seconds += _duration(packet) or seconds
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame) and frame.samples:
                    seconds = frame.samples / frame.sample_rate
                    yield frame
        self._reader.check()

    def blocks(self) -> Iterator[Block]:
        """See `Source.blocks`."""
        pending: list[Block] = []
        size = 0
        with _refuse_on_error(self.container):
            for frame in chain(self._first, self._frames):
                self._check_unchanged(frame)
                pending.append(_samples(frame))
                size += pending[-1].size
                if size >= BLOCK_SAMPLES:
                    yield np.concatenate(pending)
                    pending, size = [], 0
        if pending:
            yield np.concatenate(pending)

    def _check_unchanged(self, frame: AudioFrame) -> None:
        sample_rate, channels = frame.sample_rate, frame.layout.nb_channels
        if (sample_rate, channels) != (self.sample_rate, self.channels):
            raise InvalidAudio(
                f"the file changes midway from {self.sample_rate} Hz with {self.channels} channels "
                f"to {sample_rate} Hz with {channels}; use one sample rate and one number of channels",
                field="file",
            )

    def close(self) -> None:
        """See `Source.close`."""
        self._input.close()


class _BoundedReader:
    """A file that ends early when libav reads too many bytes for one packet, or for the metadata.

    libav holds either in memory as a whole, so this bounds the memory that any file can make it allocate.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._left = MAX_READ_BYTES
        self._exceeded = False
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        """Return the next bytes; none once the limit is exceeded. (libav would swallow an exception.)"""
        self._left -= size
        self._exceeded = self._exceeded or self._left < 0
        return b"" if self._exceeded else self._file.read(size) or b""

    def reset(self) -> None:
        """Restart the count, after a packet of audio."""
        self.check()
        self._left = MAX_READ_BYTES

    def check(self) -> None:
        """Raise InvalidAudio if the limit was exceeded."""
        if self._exceeded:
            raise InvalidAudio(
                f"more than {MAX_READ_BYTES} bytes of the file lie between two packets of audio; "
                "send the audio alone, without large pictures or tags",
                field="file",
            )


def _open_input(file: _BoundedReader, container: Container) -> InputContainer:
    return av.open(
        file,
        "r",
        format=container.demuxer,
        metadata_errors="replace",
        buffer_size=1 << 16,
        io_open=_refuse_reference,
        options={
            "format_whitelist": "aac,flac,matroska,mov,mp3,ogg",
            "protocol_whitelist": "none",
            "codec_whitelist": ",".join(AUDIO_CODECS),
            "enable_drefs": "0",
            "err_detect": "crccheck",
            "max_streams": "64",
        },
    )


def _refuse_reference(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise InvalidAudio("the file refers to another file or address; send the audio itself", field="file")


def _check_codec(container: str, codec: str) -> None:
    if codec not in AUDIO_CODECS:
        raise InvalidAudio(
            f"the audio in the {container} file is encoded as {codec}; "
            "use AAC, ALAC, MP3, Opus, Vorbis or FLAC there, or send WAV",
            field="file",
        )


def _duration(packet: "Packet[Any]") -> float:
    """Return the duration of a packet in seconds; 0 if it is unknown."""
    return float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0


def _samples(frame: AudioFrame) -> Block:
    """Convert any of libav's sample formats to float32 ``[frames, channels]`` within -1..1."""
    array = frame.to_ndarray()
    array = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    scale = float(1 << (8 * array.dtype.itemsize - 1))
    offset = scale if array.dtype.kind == "u" else 0.0
    return ((array - offset) / scale).astype(np.float32)
