"""Test audio: tones and speech-like noise, and files of them in every container."""

import io
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from numpy.typing import NDArray

Samples = NDArray[np.float32]

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def tone(
    hz: float = 440.0,
    *,
    seconds: float = 1.0,
    sample_rate: int = 44_100,
    channels: int = 1,
    level: float = 0.3,
) -> Samples:
    """Generate a sine of a peak level, ``[channels, frames]``, equal in all channels."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.tile((level * np.sin(2 * np.pi * hz * times)).astype(np.float32), (channels, 1))


def chord(
    hertz: list[float], *, seconds: float = 1.0, sample_rate: int = 44_100, level: float = 0.3
) -> Samples:
    """Generate several simultaneous sines, ``[1, frames]``, with peaks of at most ``level``."""
    tones = [tone(hz, seconds=seconds, sample_rate=sample_rate, level=level) for hz in hertz]
    mixed: Samples = np.mean(tones, axis=0, dtype=np.float32)
    return mixed


def speech_like(*, seconds: float = 1.0, sample_rate: int = 16_000, seed: int = 0) -> Samples:
    """Generate low-passed noise with the dynamics of speech, at four syllables a second, ``[1, frames]``."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * sample_rate))
    smooth = np.convolve(noise, np.hanning(9) / np.hanning(9).sum(), mode="same")
    times = np.arange(len(noise)) / sample_rate
    syllables = np.clip(np.sin(2 * np.pi * 4 * times), 0, None) ** 0.5
    return (0.2 * smooth * syllables).astype(np.float32)[None]


def file_bytes(samples: Samples, sample_rate: int, **options: Any) -> bytes:
    """Encode a file by libsndfile; ``format`` and ``subtype`` are soundfile's."""
    target = io.BytesIO()
    frames = np.atleast_2d(samples).T
    with soundfile.SoundFile(target, "w", sample_rate, frames.shape[1], **options) as file:
        for start in range(0, len(frames), 1 << 16):  # libsndfile crashes on one long write of Vorbis
            file.write(frames[start : start + (1 << 16)])
    return target.getvalue()


def av_bytes(
    samples: Samples,
    sample_rate: int,
    codec: str,
    container: str,
    options: dict[str, str] | None = None,
    *,
    seekable: bool = True,
) -> bytes:
    """Encode a file by libav; if not seekable, as ffmpeg writes it to a pipe."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound"
        target = str(path) if seekable else _Pipe()
        layout = LAYOUTS[len(np.atleast_2d(samples))]
        with av.open(target, "w", format=container, options=options or {}) as output:
            stream = output.add_stream(codec, rate=sample_rate, layout=layout)
            assert isinstance(stream, AudioStream)
            packed = np.ascontiguousarray(np.atleast_2d(samples).T, np.float32).reshape(1, -1)
            frame = AudioFrame.from_ndarray(packed, format="flt", layout=layout)
            frame.sample_rate = sample_rate
            output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return target.getvalue() if isinstance(target, _Pipe) else path.read_bytes()


class _Pipe(io.BytesIO):
    def seekable(self) -> bool:
        return False


def wav_bytes(
    samples: Samples | None = None,
    sample_rate: int = 44_100,
    subtype: str = "PCM_16",
    *,
    seconds: float = 1.0,
) -> bytes:
    """Encode a WAV file of samples, or of a tone with a duration in seconds."""
    if samples is None:
        samples = tone(seconds=seconds, sample_rate=sample_rate)
    return file_bytes(samples, sample_rate, format="WAV", subtype=subtype)


CONTAINERS: dict[str, Callable[[Samples, int], bytes]] = {
    "wav": wav_bytes,
    "float.wav": lambda samples, rate: wav_bytes(samples, rate, "FLOAT"),
    "piped.wav": lambda samples, rate: av_bytes(samples, rate, "pcm_s16le", "wav", seekable=False),
    "rf64": lambda samples, rate: file_bytes(samples, rate, format="RF64", subtype="PCM_16"),
    "w64": lambda samples, rate: file_bytes(samples, rate, format="W64", subtype="PCM_16"),
    "aiff": lambda samples, rate: file_bytes(samples, rate, format="AIFF", subtype="PCM_16"),
    "caf": lambda samples, rate: file_bytes(samples, rate, format="CAF", subtype="PCM_16"),
    "flac": lambda samples, rate: file_bytes(samples, rate, format="FLAC", subtype="PCM_16"),
    "mp3": lambda samples, rate: file_bytes(samples, rate, format="MP3"),
    "piped.mp3": lambda samples, rate: av_bytes(samples, rate, "libmp3lame", "mp3", {"write_xing": "0"}),
    "vorbis.ogg": lambda samples, rate: file_bytes(samples, rate, format="OGG", subtype="VORBIS"),
    "opus.ogg": lambda samples, rate: file_bytes(samples, rate, format="OGG", subtype="OPUS"),
    "aac": lambda samples, rate: av_bytes(samples, rate, "aac", "adts"),
    "m4a": lambda samples, rate: av_bytes(samples, rate, "aac", "ipod"),
    "faststart.m4a": lambda samples, rate: av_bytes(samples, rate, "aac", "ipod", {"movflags": "faststart"}),
    "fragmented.mp4": lambda samples, rate: av_bytes(
        samples, rate, "aac", "mp4", {"movflags": "frag_keyframe+empty_moov"}, seekable=False
    ),
    "alac.m4a": lambda samples, rate: av_bytes(samples, rate, "alac", "ipod"),
    "webm": lambda samples, rate: av_bytes(samples, rate, "libopus", "webm"),
    "recorded.webm": lambda samples, rate: av_bytes(
        samples, rate, "libopus", "webm", {"live": "1"}, seekable=False
    ),
    "opus.mka": lambda samples, rate: av_bytes(samples, rate, "libopus", "matroska"),
}
"""Writers of every accepted kind of file, by its suffix."""

OPUS_ONLY_AT_48K = ("opus.ogg", "webm", "recorded.webm", "opus.mka")


def video_bytes(container: str = "mp4") -> bytes:
    """Encode a second of video without an audio track."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream("mpeg4" if container == "mp4" else "libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for _ in range(10):
            output.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        output.mux(stream.encode(None))
    return target.getvalue()


def patched(content: bytes, at: int, form: str, *values: int | float | bytes) -> bytes:
    """Overwrite bytes at an offset, which may count from the end, with packed values."""
    changed = bytearray(content)
    struct.pack_into(form, changed, at, *values)
    return bytes(changed)


def peak_frequency(samples: NDArray[np.floating[Any]], sample_rate: int) -> float:
    """Return the strongest frequency in Hz of samples ``[frames]``, interpolated between bins."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    top = int(spectrum[1:-1].argmax()) + 1
    left, middle, right = np.log(spectrum[top - 1 : top + 2] + 1e-20)
    return float(top + 0.5 * (left - right) / (left - 2 * middle + right)) * sample_rate / len(samples)


def level_db(samples: NDArray[np.floating[Any]]) -> float:
    """Return the level of samples in dB: their root mean square relative to 1."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))
