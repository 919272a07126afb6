"""Encoding of samples by libav: to whole files, and to streams as the samples arrive."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO, RawIOBase
from typing import IO, Literal

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream

from audiograph.schemas import AudioFormat
from deployments.audio.resample import Resampler
from deployments.audio.source import BLOCK_SAMPLES, Block

SoundFormat = AudioFormat | Literal["pcm"]
"""Formats of files, and ``pcm``: bare mono samples of 16 bits, little-endian, at 24 kHz (OpenAI's format)."""


@dataclass(frozen=True, slots=True)
class Codec:
    """Settings with which libav writes a format."""

    muxer: str
    name: str
    media_type: str
    rates: tuple[int, ...] = ()
    """Supported sample rates in Hz, ascending; empty for any."""
    channels: tuple[int, ...] = tuple(range(1, 9))
    options: Mapping[str, str] = field(default_factory=dict)
    muxer_options: Mapping[str, str] = field(default_factory=dict)
    bits_per_channel: int | None = None
    """Per second; None leaves it to the codec."""
    exact: bool = False
    """Whether exactly the encoded number of frames is decoded, for any number."""


CODECS: dict[SoundFormat, Codec] = {
    "wav": Codec("wav", "pcm_s16le", "audio/wav", channels=tuple(range(1, 65)), exact=True),
    "mp3": Codec(
        "mp3",
        "libmp3lame",
        "audio/mpeg",
        rates=(8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
        channels=(1, 2),
        options={"flags": "+qscale", "global_quality": str(2 * 118)},  # LAME's -V2
    ),
    "flac": Codec("flac", "flac", "audio/flac", exact=True),
    "opus": Codec(
        "ogg",
        "libopus",
        "audio/ogg",
        rates=(48000,),
        muxer_options={"page_duration": "200000"},  # µs; the default would delay a stream by a second
    ),
    "aac": Codec(
        "adts",
        "aac",
        "audio/aac",
        rates=(7350, 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
        channels=(1, 2, 3, 4, 5, 6, 8),
        bits_per_channel=96_000,
    ),
    "pcm": Codec("s16le", "pcm_s16le", "audio/pcm", rates=(24000,), channels=(1,)),
}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}


class Encoder:
    """Encoder of blocks to an open file, for use by one thread at a time.

    A codec that does not support the sample rate gets the next higher one that it supports (the highest, if
    there is none). The file is complete only after `close`.

    Args:
        target: receives the bytes. If it cannot seek, the headers do not state the duration.
        sound_format: one of `CODECS`.
        sample_rate: of the samples, in Hz.
        channels: of the samples; the codec must support that many.
    """

    def __init__(
        self, target: IO[bytes] | RawIOBase, sound_format: SoundFormat, sample_rate: int, channels: int
    ) -> None:
        codec = CODECS[sound_format]
        self.channels = channels
        self.sample_rate = _supported_rate(codec, sample_rate)
        """Of the file, in Hz."""
        self.frames = 0
        """Number of frames written so far, at that rate."""
        self._layout = _LAYOUTS.get(channels, f"{channels} channels")
        self._resampler = Resampler(channels, sample_rate, self.sample_rate)
        # bitexact: equal samples become equal bytes, without the library's name and random serial numbers.
        options = {"fflags": "+bitexact", **codec.muxer_options}
        self._container = av.open(target, "w", format=codec.muxer, options=options)
        stream = self._container.add_stream(
            codec.name, rate=self.sample_rate, layout=self._layout, options=dict(codec.options)
        )
        assert isinstance(stream, AudioStream)
        self._stream = stream
        if codec.bits_per_channel:
            self._stream.bit_rate = codec.bits_per_channel * channels

    def write(self, block: Block) -> None:
        """Encode ``[frames, channels]`` within -1..1. The bytes may be written later."""
        self._encode(self._resampler(block))

    def close(self) -> None:
        """Write the remaining bytes, and complete the headers if the target can seek."""
        self._encode(self._resampler.finish())
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def _encode(self, block: Block) -> None:
        for start in range(0, len(block), BLOCK_SAMPLES):
            packed = np.ascontiguousarray(block[start : start + BLOCK_SAMPLES], np.float32).reshape(1, -1)
            frame = AudioFrame.from_ndarray(packed, format="flt", layout=self._layout)
            frame.sample_rate, frame.time_base = self.sample_rate, Fraction(1, self.sample_rate)
            frame.pts = self.frames
            self.frames += frame.samples
            self._container.mux(self._stream.encode(frame))


def encode_to_bytes(samples: Block, sound_format: SoundFormat, sample_rate: int) -> bytes:
    """Encode mono samples ``[frames]`` to the bytes of a whole file, whose headers state its duration."""
    file = BytesIO()
    encoder = Encoder(file, sound_format, sample_rate, channels=1)
    encoder.write(samples[:, None])
    encoder.close()
    return file.getvalue()


class StreamEncoder:
    """Encoder of mono samples to a stream, which can be played while it is encoded.

    Args:
        sound_format: one of `CODECS`.
        sample_rate: of the samples, in Hz.
    """

    def __init__(self, sound_format: SoundFormat, sample_rate: int) -> None:
        self._pipe = _Pipe()
        self._encoder = Encoder(self._pipe, sound_format, sample_rate, channels=1)

    def encode(self, samples: Block) -> bytes:
        """Encode ``[frames]`` and return the bytes that are ready; the last frames may follow later."""
        self._encoder.write(samples[:, None])
        return self._pipe.drain()

    def finish(self) -> bytes:
        """Return the remaining bytes."""
        self._encoder.close()
        return self._pipe.drain()


class _Pipe(RawIOBase):
    """Buffer of written bytes until they are read. Like any pipe it cannot seek."""

    def __init__(self) -> None:
        self._content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._content += content
        return len(content)

    def drain(self) -> bytes:
        """Return and remove the buffered bytes."""
        content, self._content = bytes(self._content), bytearray()
        return content


def _supported_rate(codec: Codec, sample_rate: int) -> int:
    if not codec.rates:
        return sample_rate
    return next((rate for rate in codec.rates if rate >= sample_rate), codec.rates[-1])
