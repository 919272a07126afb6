"""Files with several tracks: pictures, sound that begins late or has gaps, subtitles."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeAlias

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.stream import Disposition
from av.video.stream import VideoStream

from tests.support.sounds import LAYOUTS, Samples

VIDEO_CODECS = {"webm": "libvpx", "mpegts": "mpeg2video", "mxf": "mpeg2video"}
FPS = 25
AnyPacket: TypeAlias = "av.Packet[Any]"


@dataclass(frozen=True)
class Sound:
    """One audio track: samples ``[channels, frames]``, and the spans in which nothing is sent."""

    samples: Samples
    sample_rate: int = 48_000
    codec: str = "aac"
    start: float = 0.0
    """Seconds."""
    unsent: Sequence[tuple[float, float]] = ()
    """Spans in seconds of the samples whose packets are left out."""
    default: bool = False
    language: str | None = None


def film_bytes(container: str, sounds: Sequence[Sound], video_seconds: float = 0.0) -> bytes:
    """Encode a file of audio tracks and, if it has a duration, a picture from 0 s on."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film"
        with av.open(str(path), "w", format=container) as output:
            video = _add_video(output, container) if video_seconds else None
            streams = [_add_sound(output, sound) for sound in sounds]
            packets = [
                packet
                for stream, sound in zip(streams, sounds, strict=True)
                for packet in _encode_sound(stream, sound)
            ]
            if video is not None:
                packets += _encode_video(video, video_seconds)
            for packet in sorted(packets, key=_time):
                output.mux(packet)
        return path.read_bytes()


def _add_video(output: av.container.OutputContainer, container: str) -> VideoStream:
    stream = output.add_stream(VIDEO_CODECS.get(container, "mpeg4"), rate=FPS)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
    stream.codec_context.max_b_frames = 0
    return stream


def _add_sound(output: av.container.OutputContainer, sound: Sound) -> AudioStream:
    stream = output.add_stream(sound.codec, rate=sound.sample_rate, layout=LAYOUTS[len(sound.samples)])
    assert isinstance(stream, AudioStream)
    stream.disposition = Disposition.default if sound.default else Disposition(0)
    if sound.language:
        stream.metadata["language"] = sound.language
    return stream


def _encode_sound(stream: AudioStream, sound: Sound) -> list[AnyPacket]:
    packed = np.ascontiguousarray(sound.samples.T, np.float32).reshape(1, -1)
    frame = AudioFrame.from_ndarray(packed, format="flt", layout=LAYOUTS[len(sound.samples)])
    frame.sample_rate, frame.time_base = sound.sample_rate, Fraction(1, sound.sample_rate)
    frame.pts = round(sound.start * sound.sample_rate)
    packets = [*stream.encode(frame), *stream.encode(None)]
    return [packet for packet in packets if not _is_unsent(packet, sound)]


def _is_unsent(packet: AnyPacket, sound: Sound) -> bool:
    seconds = _time(packet) - sound.start
    return any(first <= seconds < last for first, last in sound.unsent)


def _time(packet: AnyPacket) -> float:
    assert packet.pts is not None
    return float(packet.pts * packet.time_base)


def _encode_video(stream: VideoStream, seconds: float) -> list[AnyPacket]:
    packets: list[AnyPacket] = []
    for number in range(round(seconds * FPS)):
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]
