"""The few functions of libespeak-ng that speaking needs, bound with ctypes.

Run as a program it speaks one text and ends: see `main`. The library keeps its state in C globals and a
few texts crash it, so speech is always made that way, in a process of its own (`deployments.models.
espeak_process`); listing the voices is safe anywhere. Standard library only, so that a process starts in
milliseconds.
"""

import ctypes
import json
import resource
import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

HEADER = struct.Struct("<fI")
"""Before each chunk on standard output: how far through the text it reaches, 0..1, and its bytes."""

OnChunk: TypeAlias = Callable[[bytes, float], None]
"""Takes 16-bit samples, and how far through the text they reach, 0..1."""

CPU_SECONDS = 600
"""A process that loops for ever is ended by the system after this; an hour of speech takes some 10 s."""

# From espeak-ng/speak_lib.h.
_PARAMETERS = {"rate": 1, "volume": 2, "pitch": 3, "range": 4, "word_gap": 7}
_GENDERS = {1: "male", 2: "female"}
_SYNCHRONOUS = 2
_DO_NOT_EXIT = 0x8000  # else the library ends the process where its data is missing
_UTF8 = 1  # alone: neither SSML (0x10) nor phonemes in [[brackets]] (0x100) are interpreted
_BY_CHARACTER = 1
_CHUNK_MS = 200
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
    """A voice file of the library: ``path`` is what it is opened by, such as ``"gmw/en-US"``."""

    path: str
    name: str
    language: str
    gender: str | None

    @property
    def id(self) -> str:
        """The last part of the path in lower case, such as ``"en-us"``; unique."""
        return self.path.rpartition("/")[2].lower()

    def is_complete(self, data: Path) -> bool:
        """Whether its dictionary is there as well; without one it is silent."""
        lines = (data / "lang" / self.path).read_text("utf-8").splitlines()
        named = [line.split()[1] for line in lines if line.startswith("dictionary ")]
        dictionary = named[0] if named else self.language.partition("-")[0]
        return (data / f"{dictionary}_dict").exists()


class Espeak:
    """libespeak-ng, started. One in a process, used by one thread at a time.

    Args:
        library: path of the shared library.
        data: path of the folder ``espeak-ng-data``.

    Raises:
        OSError: it does not load, or does not start with that data.
    """

    def __init__(self, library: str, data: str) -> None:
        self._data = Path(data)
        self._library = ctypes.CDLL(library)
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self.sample_rate: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, _CHUNK_MS, data.encode(), _DO_NOT_EXIT
        )
        if self.sample_rate <= 0:
            raise OSError(f"espeak-ng does not start with its data in {data}")

    def voices(self) -> list[EspeakVoice]:
        """Every voice that can speak, by id."""
        found = [_read_voice(voice) for voice in _until_null(self._library.espeak_ListVoices(None))]
        return sorted((voice for voice in found if voice.is_complete(self._data)), key=lambda v: v.id)

    def speak(self, text: str, voice_path: str, parameters: Mapping[str, int], on_chunk: OnChunk) -> None:
        """Speak ``text``, handing each chunk of mono samples at `sample_rate` to ``on_chunk``.

        What ``on_chunk`` raises ends the speech at once and is raised from here.

        Raises:
            OSError: the library does not know the voice, or gives up.
        """
        listener = _Listener(len(text), on_chunk)
        callback = _Callback(listener)  # held here: the library does not keep it alive
        self._library.espeak_SetSynthCallback(callback)
        self._set_up(voice_path, parameters)
        content = text.encode() + b"\0"
        status = self._library.espeak_Synth(
            content, ctypes.c_size_t(len(content)), 0, _BY_CHARACTER, 0, _UTF8, None, None
        )
        if listener.error is not None:
            raise listener.error
        if status != 0:
            raise OSError(f"espeak-ng failed to speak (status {status})")

    def _set_up(self, voice_path: str, parameters: Mapping[str, int]) -> None:
        if self._library.espeak_SetVoiceByName(voice_path.encode()) != 0:
            raise OSError(f"espeak-ng does not open its voice {voice_path!r}")
        for name, value in parameters.items():
            self._library.espeak_SetParameter(_PARAMETERS[name], value, 0)


class _Listener:
    """Receives what the library speaks. An exception must not cross C code: it is kept for the caller."""

    def __init__(self, characters: int, on_chunk: OnChunk) -> None:
        self.error: BaseException | None = None
        self._characters = characters
        self._on_chunk = on_chunk
        self._reached = 0

    def __call__(self, samples: _Samples, count: int, events: _Events) -> int:
        """Answer 0 to go on, 1 to end the speech."""
        try:
            self._follow(events)
            if samples and count > 0:
                fraction = min(self._reached / self._characters, 1.0)
                self._on_chunk(ctypes.string_at(samples, 2 * count), fraction)
        except BaseException as error:
            self.error = error
        return int(self.error is not None)

    def _follow(self, events: _Events) -> None:
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
    # Languages are a list of (priority byte, zero-terminated name); the first is the voice's own.
    return EspeakVoice(
        path=voice.identifier.decode(),
        name=voice.name.decode().strip(),
        language=ctypes.string_at(voice.languages + 1).decode(),
        gender=_GENDERS.get(voice.gender),
    )


def main(library: str, data: str, task: str) -> None:
    """Do a task: ``voices`` or ``speak``."""
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    engine = Espeak(library, data)
    if task == "voices":
        print(json.dumps({"sample_rate": engine.sample_rate, "voices": [asdict(v) for v in engine.voices()]}))
    else:
        _speak(engine)


def _speak(engine: Espeak) -> None:
    """Speak what standard input says, the arguments of `Espeak.speak` as JSON, to standard output."""

    def write(samples: bytes, fraction: float) -> None:
        sys.stdout.buffer.write(HEADER.pack(fraction, len(samples)) + samples)
        sys.stdout.buffer.flush()  # each chunk at once: the reader shows progress, and may cancel

    engine.speak(**json.load(sys.stdin), on_chunk=write)


if __name__ == "__main__":
    main(*sys.argv[1:])
