"""Speech of eSpeak NG made in a process of its own: a text that crashes the library harms no one else.

Each text starts the library afresh, so the same text, voice and parameters give the same samples.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, NamedTuple

from audiograph.errors import InternalError, InvalidRequest, ModelUnavailable
from deployments.models.espeak import library as espeak_library
from deployments.models.espeak.library import HEADER, EspeakVoice

_START_SECONDS = 30.0
_LOOK_SECONDS = 0.2  # how often a silent process is left to look for a cancel


class Chunk(NamedTuple):
    """Mono 16-bit samples, and how far through the text they reach, 0..1."""

    samples: bytes
    fraction: float


@dataclass(frozen=True, slots=True)
class EspeakProcesses:
    """Where the library lies, and what it can do; take it from `espeak`."""

    library: str
    data: str
    sample_rate: int
    voices: Mapping[str, EspeakVoice]
    """By id, such as ``"en-us"``."""

    def speak(
        self,
        text: str,
        *,
        voice: str,
        parameters: Mapping[str, int],
        check: Callable[[], None],
    ) -> Generator[Chunk, None, None]:
        """Speak ``text``, yielding chunks as they are made. Closing the iterator ends the process.

        ``check`` is called while waiting, and may raise.

        Raises:
            InvalidRequest: the library crashed on this text.
            InternalError: it failed in any other way.
        """
        path = self.voices[voice].path
        call = {"text": text, "voice_path": path, "parameters": dict(parameters)}
        with tempfile.TemporaryFile() as complaints, self._start(complaints) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                with process.stdin:
                    process.stdin.write(json.dumps(call).encode())
                yield from _chunks(process.stdout, check)
            except BaseException:
                process.kill()
                raise
            _judge(process.wait(), complaints)

    def _start(self, complaints: IO[bytes]) -> subprocess.Popen[bytes]:
        program = [*_program(self.library, self.data), "speak"]
        return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints)


def _program(library: str, data: str) -> list[str]:
    # -I -S: neither this process's environment nor installed packages are needed; it starts in 20 ms.
    return [sys.executable, "-I", "-S", str(espeak_library.__file__), library, data]


@cache
def espeak() -> EspeakProcesses:
    """Look for the library once in this process.

    Raises:
        ModelUnavailable: the package espeakng-loader is missing or does not work on this machine.
    """
    try:
        import espeakng_loader

        library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
        told = _ask_for_voices(library, data)
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise ModelUnavailable(f"espeak-ng cannot be loaded: {error}") from error
    voices = [EspeakVoice(**voice) for voice in told["voices"]]
    return EspeakProcesses(library, data, told["sample_rate"], {voice.id: voice for voice in voices})


def _ask_for_voices(library: str, data: str) -> dict[str, Any]:
    """The sample rate and the voices. In a process as well: requests are checked in many threads at once."""
    program = [*_program(library, data), "voices"]
    done = subprocess.run(program, capture_output=True, timeout=_START_SECONDS, check=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _chunks(pipe: IO[bytes], check: Callable[[], None]) -> Iterator[Chunk]:
    buffer = bytearray()
    for arrived in _arriving(pipe, check):
        buffer += arrived
        while len(buffer) >= HEADER.size:
            fraction, size = HEADER.unpack_from(buffer)
            end = HEADER.size + size
            if len(buffer) < end:
                break
            yield Chunk(bytes(buffer[HEADER.size : end]), fraction)
            del buffer[:end]


def _arriving(pipe: IO[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(_LOOK_SECONDS):
                check()
            elif content := os.read(pipe.fileno(), 1 << 16):
                yield content
            else:
                return


def _judge(status: int, complaints: IO[bytes]) -> None:
    if status < 0:
        name = signal.Signals(-status).name
        raise InvalidRequest(
            f"espeak-ng broke down on this text ({name}); leave out what is not language", field="text"
        )
    if status > 0:
        complaints.seek(0)
        raise InternalError(f"espeak-ng failed: {complaints.read()[-500:].decode(errors='replace').strip()}")
