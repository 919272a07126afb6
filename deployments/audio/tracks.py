"""Choice of one audio track, and the encodings that are decoded."""

from collections.abc import Sequence
from typing import NamedTuple

from av.audio.stream import AudioStream
from av.stream import Disposition

from audiograph.errors import InvalidAudio

PCM = tuple(
    f"pcm_{kind}"
    for kind in (
        *("s8", "u8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "s64le", "s64be"),
        *("f32le", "f32be", "f64le", "f64be", "alaw", "mulaw", "bluray", "dvd"),
    )
)
CODECS = (
    *(
        "aac",
        "aac_latm",
        "ac3",
        "alac",
        "amrnb",
        "amrwb",
        "eac3",
        "flac",
        "mp1",
        "mp1float",
        "mp2",
        "mp2float",
    ),
    *("mp3", "mp3float", "nellymoser", "opus", "speex", "tta", "vorbis", "wavpack", "dca", "truehd", "s302m"),
    *("wmav1", "wmav2", "wmapro", "wmalossless", "wmavoice"),
    *("adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "adpcm_swf"),
    *("g722", "g726", "gsm", "gsm_ms"),
    *PCM,
)
"""libav's names of the decoders that may be used."""


class Track(NamedTuple):
    """One audio track of a file."""

    stream: AudioStream
    number: int
    """From 1, among the audio tracks."""
    notes: Sequence[str]
    """A sentence on the choice, if there was one."""


def choose_track(streams: Sequence[AudioStream], number: int | None, container: str) -> Track:
    """Choose an audio track: the one with a number, or the default one, or the first that can be decoded.

    Raises:
        InvalidAudio: there is no such track, or it cannot be decoded; the message names its encoding.
    """
    if not streams:
        raise InvalidAudio(f"the {container} file has no audio track; send one with sound", field="file")
    if number is not None:
        return _numbered(streams, number, container)
    by_default = sorted(range(len(streams)), key=lambda index: not _is_default(streams[index]))
    chosen = next((index for index in by_default if _codec(streams[index]) in CODECS), None)
    if chosen is None:
        raise _refused(container, streams)
    return Track(streams[chosen], chosen + 1, _notes(streams, chosen, by_default[0]))


def _numbered(streams: Sequence[AudioStream], number: int, container: str) -> Track:
    if not 1 <= number <= len(streams):
        tracks = "1 audio track" if len(streams) == 1 else f"{len(streams)} audio tracks"
        raise InvalidAudio(f"the file has {tracks}; there is no track {number}", field="track")
    stream = streams[number - 1]
    if _codec(stream) not in CODECS:
        raise _refused(container, [stream], field="track")
    return Track(stream, number, [_note(streams, number - 1, "as requested")] if len(streams) > 1 else [])


def _notes(streams: Sequence[AudioStream], chosen: int, preferred: int) -> list[str]:
    if len(streams) == 1:
        return []
    if chosen != preferred:
        refused = f"track {preferred + 1} ({_codec(streams[preferred])}) cannot be decoded"
        return [_note(streams, chosen, refused)]
    defaults = sum(_is_default(stream) for stream in streams)
    return [_note(streams, chosen, "the default" if defaults == 1 else "the first")]


def _note(streams: Sequence[AudioStream], index: int, reason: str) -> str:
    stream = streams[index]
    described = [
        _codec(stream),
        *filter(None, [stream.metadata.get("language"), stream.metadata.get("title")]),
    ]
    return (
        f"Audio track {index + 1} of {len(streams)} ({', '.join(described)[:80]}) was taken: {reason}. "
        "The field track of an upload names another."
    )


def _is_default(stream: AudioStream) -> bool:
    return bool(stream.disposition & Disposition.default)


def _codec(stream: AudioStream) -> str:
    """Return the name of a track's encoding."""
    context = stream.codec_context
    return context.name if context is not None else "something unknown"


def _refused(container: str, streams: Sequence[AudioStream], field: str = "file") -> InvalidAudio:
    codecs = " and ".join(dict.fromkeys(_codec(stream) for stream in streams))
    return InvalidAudio(
        f"the audio in the {container} file is encoded as {codecs}, which cannot be decoded here; "
        "use AAC, ALAC, MP3, Opus, Vorbis or FLAC there, or send WAV",
        field=field,
    )
