"""Decoding by libav, of one audio track, whose gaps and changes are evened out by a `Timeline`."""

from collections.abc import Iterator
from io import RawIOBase
from itertools import chain, islice
from typing import Any, NoReturn

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition

from audiograph.errors import InvalidAudio
from deployments.audio.formats.claims import HeaderClaims
from deployments.audio.formats.containers import Container
from deployments.audio.formats.views import Section
from deployments.audio.source import BLOCK_SAMPLES, Block, Source, refuse_on_error
from deployments.audio.timeline import TOLERANCE_SECONDS, Timeline
from deployments.audio.tracks import CODECS, choose_track

MAX_READ_BYTES = 64 * 1024**2
"""Limit of the bytes that libav may read between two packets: it holds all of them in memory."""
DEMUXERS = (
    *("aac", "ac3", "aiff", "amr", "asf", "au", "avi", "caf", "eac3", "flac", "flv", "ircam", "loas"),
    *("matroska", "mov", "mp3", "mpeg", "mpegts", "nistsphere", "ogg", "tta", "voc", "w64", "wav", "wv"),
)


class AvSource(Source):
    """A source decoded by libav."""

    def __init__(
        self, file: RawIOBase, container: Container, claims: HeaderClaims, track: int | None = None
    ) -> None:
        super().__init__(container, claims)
        self.claimed_seconds = claims.seconds
        sections: list[RawIOBase] = [Section(file, *section) for section in claims.sections]
        first, *self._sections = sections or [file]
        self._open(first)
        try:
            self._start(track)
        except BaseException:
            self._input.close()
            raise

    def _open(self, file: RawIOBase) -> None:
        self._reader = _BoundedReader(file)
        try:
            self._input = _open_input(self._reader, self.container)
        except av.FFmpegError:
            self._reader.check()
            raise

    def _start(self, number: int | None) -> None:
        """Choose the audio track and decode its first frame, which has the sample rate and the channels."""
        track = choose_track(self._input.streams.audio, number, self.container.name)
        self._stream, self.track = track.stream, track.number
        self.notes += track.notes
        if self.container.demuxer == "mov":
            self._use_index()
        self._frames = self._decode()
        self._first = list(islice(self._frames, 1))
        if not self._first:
            codec = self._stream.codec_context.name
            raise InvalidAudio(
                f"no audio could be decoded from the {self.container.name} file ({codec}): it is empty, "
                "damaged, truncated, or encoded in an unusual way",
                field="file",
            )
        first = self._first[0]
        self.sample_rate, self.channels = first.sample_rate, first.layout.nb_channels
        self._timeline = Timeline(self.sample_rate, self.channels)
        self.offset = self._offset(first)

    def _use_index(self) -> None:
        """Read the track alone, and take its length from its own index, as MP4 allows."""
        for other in self._input.streams:
            if other is not self._stream:
                other.discard = Discard.all
        if self._stream.duration and self._stream.time_base:
            end = (self._stream.start_time or 0) + self._stream.duration
            self.claimed_seconds = max(float(end * self._stream.time_base), self.claimed_seconds or 0.0)

    def _offset(self, first: AudioFrame) -> float:
        """Return the seconds from the beginning of the picture, or of other sound, to the first sample."""
        start = first.time
        if start is None or not (self.container.has_timeline or self.container.begins_at_zero):
            return 0.0
        begins = [
            float(stream.start_time * stream.time_base)
            for stream in self._input.streams
            if stream.type in ("audio", "video")
            and stream is not self._stream
            and stream.start_time is not None
            and stream.time_base
            and not stream.disposition & Disposition.attached_pic
        ]
        if self.container.begins_at_zero:
            begins.append(0.0)
        offset = start - min(begins, default=start)
        return offset if offset > TOLERANCE_SECONDS else 0.0

    def _time(self, frame: AudioFrame) -> float | None:
        """Return the time of a frame in seconds; None if it only counts on from the frame before it."""
        return frame.time if self.container.has_timeline else None

    def _decode(self) -> Iterator[AudioFrame]:
        """Yield all frames of all sections."""
        yield from self._decode_section()
        for section in self._sections:
            self._input.close()
            self._open(section)
            self._stream = choose_track(self._input.streams.audio, None, self.container.name).stream
            self._timeline.restart()
            yield from self._decode_section()

    def _decode_section(self) -> Iterator[AudioFrame]:
        """Yield all frames; count the duration of packets that cannot be decoded as lost."""
        seconds = 0.0
        # An index leads to the packets of one track. Without one, all packets are read on the way.
        for packet in self._input.demux(*([self._stream] if self.container.demuxer == "mov" else [])):
            self._reader.reset()
            self._reach(packet)
            if packet.stream is not self._stream:
                continue
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

    def _reach(self, packet: "Packet[Any]") -> None:
        """Note the end of a packet of any track."""
        at = packet.pts if packet.pts is not None else packet.dts
        if at is not None and packet.time_base and self.container.has_timeline:
            end = float(at * packet.time_base) + _duration(packet)
            self.reached_seconds = max(self.reached_seconds, end)

    def blocks(self) -> Iterator[Block]:
        """See `Source.blocks`."""
        pending: list[Block] = []
        size = 0
        for block in self._continuous():
            pending.append(block)
            size += block.size
            if size >= BLOCK_SAMPLES:
                yield np.concatenate(pending)
                pending, size = [], 0
        if size:
            yield np.concatenate(pending)
        self.notes += self._timeline.notes()

    def _continuous(self) -> Iterator[Block]:
        with refuse_on_error(self.container):
            for frame in chain(self._first, self._frames):
                yield from self._timeline.place(_samples(frame), frame.sample_rate, self._time(frame))
            yield from self._timeline.finish()

    def close(self) -> None:
        """See `Source.close`."""
        self._input.close()


class _BoundedReader:
    """A file that ends early when libav reads too many bytes for one packet, or for the metadata.

    libav holds either in memory as a whole, so this bounds the memory that any file can make it allocate.
    """

    def __init__(self, file: RawIOBase) -> None:
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
        """Restart the count, after a packet."""
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
            "format_whitelist": ",".join(DEMUXERS),
            "protocol_whitelist": "none",
            "codec_whitelist": ",".join(CODECS),
            "enable_drefs": "0",
            "err_detect": "crccheck",
            "max_streams": "64",
        },
    )


def _refuse_reference(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise InvalidAudio("the file refers to another file or address; send the audio itself", field="file")


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
