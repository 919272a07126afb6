"""A ctypes binding of the functions of libespeak-ng that speech and phonemes need, and a program: see `main`.

The library keeps its state in C globals and a few texts crash it, so the server only uses it in separate
processes, which run this file: see `deployments.models.kit.espeak.process`. The file imports nothing but the
standard library, so that a process starts in milliseconds.
"""

import ctypes
import json
import resource
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

HEADER = struct.Struct("<fI")
"""Precedes each chunk on standard output: the fraction of the text that is spoken, 0..1, and the chunk's size
in bytes."""

OnChunk: TypeAlias = Callable[[bytes, float], None]
"""Receives mono 16-bit samples, and the fraction of the text that is spoken, 0..1."""

MAX_CPU_SECONDS = 600
"""The system kills a process after this, in case it loops forever; an hour of speech takes about 10 s."""

# From espeak-ng/speak_lib.h.
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4, "word_gap": 7}
_GENDERS = {1: "male", 2: "female"}
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000  # otherwise the library exits the process if its data is missing
_UTF8 = 1  # alone: neither SSML (0x10) nor phonemes in [[brackets]] (0x100) are interpreted
_BY_CHARACTER = 1
_CHUNK_MS = 200
# IPA, with a tie between the letters of one phoneme.
_IPA = 0x02 | 0x80
TIE = "^"
"""Joins the letters of one phoneme, such as those of an affricate, ``t^s``."""
_WORD, _SENTENCE = 1, 2


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_void_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Samples: TypeAlias = "ctypes._Pointer[ctypes.c_short]"
_Events: TypeAlias = "ctypes._Pointer[_Event]"
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A voice file of the library."""

    path: str
    """Relative to the folder of voices, such as ``"gmw/en-US"``; the library opens the voice by it."""
    name: str
    language: str
    gender: str | None

    @property
    def id(self) -> str:
        """The last part of the path in lower case, such as ``"en-us"``. It is unique."""
        return self.path.rpartition("/")[2].lower()

    def is_complete(self, data: Path) -> bool:
        """Report whether the voice's dictionary exists; without one it is silent."""
        lines = (data / "lang" / self.path).read_text("utf-8").splitlines()
        named = [line.split()[1] for line in lines if line.startswith("dictionary ")]
        dictionary = named[0] if named else self.language.partition("-")[0]
        return (data / f"{dictionary}_dict").exists()


class Espeak:
    """The initialized library; at most one per process, used by one thread at a time.

    Args:
        library: path of the shared library.
        data: path of the folder ``espeak-ng-data``.

    Raises:
        OSError: the library cannot be loaded, or does not start with this data.
    """

    def __init__(self, library: str, data: str) -> None:
        self._data = Path(data)
        self._library = ctypes.CDLL(library)
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self.sample_rate: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, _CHUNK_MS, data.encode(), _DO_NOT_EXIT
        )
        if self.sample_rate <= 0:
            raise OSError(f"espeak-ng does not start with its data in {data}")

    def voices(self) -> list[EspeakVoice]:
        """Return all complete voices, sorted by id."""
        found = [_read_voice(voice) for voice in _until_null(self._library.espeak_ListVoices(None))]
        return sorted((voice for voice in found if voice.is_complete(self._data)), key=lambda v: v.id)

    def speak(self, text: str, voice_path: str, parameters: Mapping[str, int], on_chunk: OnChunk) -> None:
        """Speak ``text``, passing each chunk of mono samples at `sample_rate` to ``on_chunk``.

        An exception of ``on_chunk`` ends the speech at once and is raised again here.

        Raises:
            OSError: the library cannot open the voice, or fails to speak.
        """
        receiver = _ChunkReceiver(len(text), on_chunk)
        callback = _Callback(receiver)  # referenced here, since the library does not keep it alive
        self._library.espeak_SetSynthCallback(callback)
        self._set_up(voice_path, parameters)
        content = text.encode() + b"\0"
        status = self._library.espeak_Synth(
            content, ctypes.c_size_t(len(content)), 0, _BY_CHARACTER, 0, _UTF8, None, None
        )
        if receiver.error is not None:
            raise receiver.error
        if status != 0:
            raise OSError(f"espeak-ng failed to speak (status {status})")

    def phonemes(self, texts: Iterable[str], voice_path: str) -> list[str]:
        """Return the phonemes of each text, in IPA with stress marks, `TIE` and blanks between words.

        Punctuation is lost. A text in another language is marked, such as ``(fr)…(en-us)``.

        Raises:
            OSError: the library cannot open the voice.
        """
        self._set_up(voice_path, {})
        return [" ".join(self._clauses(text)) for text in texts]

    def _clauses(self, text: str) -> Iterator[str]:
        """Yield the phonemes of each clause; the library moves the pointer behind it, and then clears it."""
        rest = ctypes.c_char_p(text.encode())
        while rest.value is not None:
            found = self._library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA | ord(TIE) << 8)
            yield (found or b"").decode()

    def _set_up(self, voice_path: str, parameters: Mapping[str, int]) -> None:
        if self._library.espeak_SetVoiceByName(voice_path.encode()) != 0:
            raise OSError(f"espeak-ng cannot open its voice {voice_path!r}")
        for name, value in parameters.items():
            self._library.espeak_SetParameter(_PARAMETERS[name], value, 0)


class _ChunkReceiver:
    """The library's callback. An exception must not cross C code, so it is stored for the caller."""

    def __init__(self, characters: int, on_chunk: OnChunk) -> None:
        self.error: BaseException | None = None
        self._characters = characters
        self._on_chunk = on_chunk
        self._reached = 0

    def __call__(self, samples: _Samples, count: int, events: _Events) -> int:
        """Pass on a chunk; return 0 to continue, 1 to end the speech."""
        try:
            self._track_position(events)
            if samples and count > 0:
                fraction = min(self._reached / self._characters, 1.0)
                self._on_chunk(ctypes.string_at(samples, 2 * count), fraction)
        except BaseException as error:
            self.error = error
        return int(self.error is not None)

    def _track_position(self, events: _Events) -> None:
        index = 0
        while (event := events[index]).type != 0:
            if event.type in (_WORD, _SENTENCE):
                self._reached = max(self._reached, event.text_position)
            index += 1


def _until_null(voices: "ctypes._Pointer[ctypes._Pointer[_Voice]]") -> Iterator[_Voice]:
    index = 0
    while voices[index]:
        yield voices[index].contents
        index += 1


def _read_voice(voice: _Voice) -> EspeakVoice:
    # Languages are a list of (priority byte, zero-terminated name); the first one is the voice's main one.
    return EspeakVoice(
        path=voice.identifier.decode(),
        name=voice.name.decode().strip(),
        language=ctypes.string_at(voice.languages + 1).decode(),
        gender=_GENDERS.get(voice.gender),
    )


def main(library: str, data: str, task: str) -> None:
    """Run a task.

    ``voices`` writes the sample rate and the voices as JSON, ``phonemes`` reads the arguments of
    `Espeak.phonemes` as JSON and writes the phonemes likewise, and ``speak`` speaks one text.
    """
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    engine = Espeak(library, data)
    if task == "voices":
        print(json.dumps({"sample_rate": engine.sample_rate, "voices": [asdict(v) for v in engine.voices()]}))
    elif task == "phonemes":
        print(json.dumps(engine.phonemes(**json.load(sys.stdin))))
    else:
        _speak(engine)


def _speak(engine: Espeak) -> None:
    """Read the arguments of `Espeak.speak`, as JSON, from standard input; write chunks to standard output."""

    def write(samples: bytes, fraction: float) -> None:
        sys.stdout.buffer.write(HEADER.pack(fraction, len(samples)) + samples)
        sys.stdout.buffer.flush()  # the reader reports progress at each chunk, and may cancel

    engine.speak(**json.load(sys.stdin), on_chunk=write)


if __name__ == "__main__":
    main(*sys.argv[1:])
