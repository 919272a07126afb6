"""Files to blocks of samples, by libsndfile (WAV, AIFF, CAF, W64) and by libav (all else).

Each container has one decoder, named by its content beforehand. Both are given an open file, never a name,
and libav is told to open nothing besides: a file that refers to another one, or to an address, gets nowhere.
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
from deployments.audio.formats.claims import Promise, truncated
from deployments.audio.formats.containers import Container, identify

Block = NDArray[np.float32]
"""Samples ``[frames, channels]``."""

MAX_PIECE_BYTES = 64 * 1024**2
"""How much libav may read from one piece of audio to the next: it holds all of that in memory."""
BLOCK_SAMPLES = 1 << 16
"""Samples per block over all channels: 256 KiB of float32."""
AUDIO_CODECS = ("aac", "alac", "flac", "mp3", "mp3float", "opus", "vorbis")
MAX_CHANNELS = 1024
"""What libsndfile can decode; the limits of an upload are tighter."""


class Source(ABC):
    """An open file that is being decoded."""

    sample_rate: int
    """In Hz."""
    channels: int
    claimed_seconds: float | None
    """What the headers say; None where they are silent."""

    def __init__(self, container: Container, promise: Promise) -> None:
        self.container = container
        self.missing = promise.missing
        """The fraction of the promised bytes that lie beyond the end of the file."""
        self.lost_seconds = 0.0
        """Audio that could not be decoded so far, for its data is damaged."""

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """Decode to the end, once.

        Raises:
            InvalidAudio: the data is damaged, or changes its sample rate or channels on the way.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the decoder; the file is its opener's."""


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Open a file for decoding; what it is, is told by its content.

    Raises:
        InvalidAudio: it is not audio in a container that is accepted, or its headers make no sense.
    """
    with path.open("rb", buffering=0) as file:
        size = path.stat().st_size
        container = identify(file, size)
        promise = container.promise(file, size)
        _check_declared(promise)
        file.seek(0)
        decoder = AvSource if container.demuxer else SoundFileSource
        try:
            with _refusing(container):
                source = decoder(file, container, promise)
        except InvalidAudio as error:
            if promise.missing > 0.01:
                raise truncated(promise.missing) from error
            raise
        try:
            yield source
        finally:
            source.close()


@contextmanager
def _refusing(container: Container) -> Iterator[None]:
    """Whatever a decoder raises over hostile bytes, the caller is told that they cannot be decoded."""
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


def _check_declared(promise: Promise) -> None:
    if promise.channels == 0:
        raise InvalidAudio("the header declares 0 channels; audio has at least 1", field="file")
    if promise.channels is not None and promise.channels > MAX_CHANNELS:
        raise InvalidAudio(
            f"the header declares {promise.channels} channels; no more than {MAX_CHANNELS} can be decoded",
            field="file",
        )
    if promise.sample_rate == 0:
        raise InvalidAudio("the header declares a sample rate of 0 Hz", field="file")


class SoundFileSource(Source):
    """Decoding by libsndfile."""

    def __init__(self, file: FileIO, container: Container, promise: Promise) -> None:
        super().__init__(container, promise)
        # By descriptor: libsndfile then neither guesses by name nor looks for a resource fork beside it.
        self._file = soundfile.SoundFile(file.fileno(), closefd=False)
        self.sample_rate = self._file.samplerate
        self.channels = self._file.channels
        self.claimed_seconds = promise.seconds

    def blocks(self) -> Iterator[Block]:
        """See `Source.blocks`."""
        frames = max(1, BLOCK_SAMPLES // self.channels)
        while True:
            with _refusing(self.container):
                block = self._file.read(frames, dtype="float32", always_2d=True)
            if not len(block):
                return
            yield block

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()


class AvSource(Source):
    """Decoding by libav."""

    def __init__(self, file: FileIO, container: Container, promise: Promise) -> None:
        super().__init__(container, promise)
        self._meter = _Meter(file)
        try:
            self._input = _open_input(self._meter, container)
        except av.FFmpegError:
            self._meter.check()
            raise
        self.claimed_seconds = promise.seconds
        try:
            self._begin()
        except BaseException:
            self._input.close()
            raise

    def _begin(self) -> None:
        name = self.container.name
        if not self._input.streams.audio:
            raise InvalidAudio(f"the {name} file has no audio track; send one with sound in it", field="file")
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
                f"no sound could be decoded from the {name} file: it is empty, damaged or truncated",
                field="file",
            )
        self.sample_rate = self._first[0].sample_rate
        self.channels = self._first[0].layout.nb_channels

    def _decode(self) -> Iterator[AudioFrame]:
        """All frames; a packet that cannot be decoded is counted as lost."""
        seconds = 0.0
        for packet in self._input.demux(self._stream):
            self._meter.restart()
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self.lost_seconds += _seconds(packet) or seconds
                continue
            for frame in frames:
                if isinstance(frame, AudioFrame) and frame.samples:
                    seconds = frame.samples / frame.sample_rate
                    yield frame
        self._meter.check()

    def blocks(self) -> Iterator[Block]:
        """See `Source.blocks`."""
        gathered: list[Block] = []
        size = 0
        with _refusing(self.container):
            for frame in chain(self._first, self._frames):
                self._check_same(frame)
                gathered.append(_samples(frame))
                size += gathered[-1].size
                if size >= BLOCK_SAMPLES:
                    yield np.concatenate(gathered)
                    gathered, size = [], 0
        if gathered:
            yield np.concatenate(gathered)

    def _check_same(self, frame: AudioFrame) -> None:
        now = (frame.sample_rate, frame.layout.nb_channels)
        if now != (self.sample_rate, self.channels):
            raise InvalidAudio(
                f"the file changes on the way from {self.sample_rate} Hz with {self.channels} channels "
                f"to {now[0]} Hz with {now[1]}; send it with the same ones throughout",
                field="file",
            )

    def close(self) -> None:
        """See `Source.close`."""
        self._input.close()


class _Meter:
    """A file that ends early when libav reads too much of it for one packet, or for the metadata.

    libav holds either in memory whole, so this bounds the memory that any file can make it take.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._left = MAX_PIECE_BYTES
        self._exceeded = False
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        """The next bytes; none once there were too many. (An exception would be libav's to swallow.)"""
        self._left -= size
        self._exceeded = self._exceeded or self._left < 0
        return b"" if self._exceeded else self._file.read(size) or b""

    def restart(self) -> None:
        """A packet came: count anew."""
        self.check()
        self._left = MAX_PIECE_BYTES

    def check(self) -> None:
        """Raise InvalidAudio if there were too many bytes."""
        if self._exceeded:
            raise InvalidAudio(
                f"more than {MAX_PIECE_BYTES} bytes of the file lie between one piece of audio and the next; "
                "send the audio alone, without large pictures or tags",
                field="file",
            )


def _open_input(file: _Meter, container: Container) -> InputContainer:
    return av.open(
        file,
        "r",
        format=container.demuxer,
        metadata_errors="replace",
        buffer_size=1 << 16,
        io_open=_open_nothing,
        options={
            "format_whitelist": "aac,flac,matroska,mov,mp3,ogg",
            "protocol_whitelist": "none",
            "codec_whitelist": ",".join(AUDIO_CODECS),
            "enable_drefs": "0",
            "err_detect": "crccheck",
            "max_streams": "64",
        },
    )


def _open_nothing(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise InvalidAudio("the file refers to another file or address; send the audio itself", field="file")


def _check_codec(container: str, codec: str) -> None:
    if codec not in AUDIO_CODECS:
        raise InvalidAudio(
            f"the audio in the {container} file is coded as {codec}; "
            "use AAC, ALAC, MP3, Opus, Vorbis or FLAC there, or send WAV",
            field="file",
        )


def _seconds(packet: "Packet[Any]") -> float:
    return float(packet.duration * packet.time_base) if packet.duration and packet.time_base else 0.0


def _samples(frame: AudioFrame) -> Block:
    """Any of libav's sample formats as float32 ``[frames, channels]`` within -1..1."""
    array = frame.to_ndarray()
    array = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    if array.dtype.kind == "f":
        return array.astype(np.float32, copy=False)
    scale = float(1 << (8 * array.dtype.itemsize - 1))
    offset = scale if array.dtype.kind == "u" else 0.0
    return ((array - offset) / scale).astype(np.float32)
