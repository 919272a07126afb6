"""Speech of eSpeak NG, one process per text: a text that crashes the library affects no other request.

Each process initializes the library, so that equal text, voice and parameters produce equal samples.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import IO, Any, NamedTuple

from audiograph.errors import InternalError, InvalidRequest, ModelUnavailable
from deployments.models.kit.espeak import library as espeak_library
from deployments.models.kit.espeak.library import HEADER, EspeakVoice

_START_SECONDS = 30.0
_CHECK_SECONDS = 0.2  # while a process is silent, a cancel is checked for this often


class Chunk(NamedTuple):
    """A part of a speech."""

    samples: bytes
    """Mono, 16-bit, little-endian."""
    fraction: float
    """The fraction of the text that is spoken, 0..1."""


@dataclass(frozen=True, slots=True)
class EspeakProcesses:
    """Starts processes that speak; see `installed_espeak`."""

    library: str
    """Path of the shared library."""
    data: str
    """Path of the folder ``espeak-ng-data``."""
    sample_rate: int
    """Hz."""
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
        """Speak a text, yielding chunks as soon as they are spoken. Closing the generator kills the process.

        Args:
            text: without control characters.
            voice: id of one of `voices`.
            parameters: of the library: rate, volume, pitch, range and word_gap.
            check: called while waiting for a chunk; may raise to end the speech.

        Raises:
            InvalidRequest: the library crashed on this text.
            InternalError: the process failed for another reason.
        """
        path = self.voices[voice].path
        call = {"text": text, "voice_path": path, "parameters": dict(parameters)}
        with tempfile.TemporaryFile() as stderr, self._start(stderr) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                with process.stdin:
                    process.stdin.write(json.dumps(call).encode())
                yield from _chunks(process.stdout, check)
            except BaseException:
                process.kill()
                raise
            _check_status(process.wait(), stderr)

    def phonemes(self, texts: Sequence[str], *, voice: str) -> list[str]:
        """Return the phonemes of texts; see `Espeak.phonemes`. A thousand texts take about 0.1 s.

        Args:
            texts: without control characters.
            voice: id of one of `voices`.

        Raises:
            InvalidRequest: the library crashed on one of the texts.
            InternalError: the process failed for another reason.
        """
        call = {"texts": list(texts), "voice_path": self.voices[voice].path}
        program = [*_program(self.library, self.data), "phonemes"]
        with tempfile.TemporaryFile() as stderr:
            done = subprocess.run(
                program, input=json.dumps(call).encode(), stdout=subprocess.PIPE, stderr=stderr, check=False
            )
            _check_status(done.returncode, stderr)
        found: list[str] = json.loads(done.stdout)
        return found

    def _start(self, stderr: IO[bytes]) -> subprocess.Popen[bytes]:
        program = [*_program(self.library, self.data), "speak"]
        return subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr)


def _program(library: str, data: str) -> list[str]:
    # -I -S: without environment variables and installed packages, Python starts in 20 ms.
    return [sys.executable, "-I", "-S", str(espeak_library.__file__), library, data]


@cache
def installed_espeak() -> EspeakProcesses:
    """Return the installed library. It is looked up once per process.

    Raises:
        ModelUnavailable: the package espeakng-loader is missing or does not work on this machine.
    """
    try:
        import espeakng_loader

        library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
        description = _describe(library, data)
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise ModelUnavailable(f"espeak-ng cannot be loaded: {error}") from error
    voices = [EspeakVoice(**voice) for voice in description["voices"]]
    return EspeakProcesses(library, data, description["sample_rate"], {voice.id: voice for voice in voices})


def _describe(library: str, data: str) -> dict[str, Any]:
    """Return the library's sample rate and voices.

    This runs in a process as well, since many threads may check requests at the same time.
    """
    program = [*_program(library, data), "voices"]
    done = subprocess.run(program, capture_output=True, timeout=_START_SECONDS, check=True)
    description: dict[str, Any] = json.loads(done.stdout)
    return description


def _chunks(pipe: IO[bytes], check: Callable[[], None]) -> Iterator[Chunk]:
    buffer = bytearray()
    for content in _contents(pipe, check):
        buffer += content
        while len(buffer) >= HEADER.size:
            fraction, size = HEADER.unpack_from(buffer)
            end = HEADER.size + size
            if len(buffer) < end:
                break
            yield Chunk(bytes(buffer[HEADER.size : end]), fraction)
            del buffer[:end]


def _contents(pipe: IO[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    """Yield the bytes of a pipe as they arrive, calling ``check`` while there are none."""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(_CHECK_SECONDS):
                check()
            elif content := os.read(pipe.fileno(), 1 << 16):
                yield content
            else:
                return


def _check_status(status: int, stderr: IO[bytes]) -> None:
    if status < 0:
        name = signal.Signals(-status).name
        raise InvalidRequest(
            f"text crashed espeak-ng ({name}); remove characters that are not language", field="text"
        )
    if status > 0:
        stderr.seek(0)
        raise InternalError(f"espeak-ng failed: {stderr.read()[-500:].decode(errors='replace').strip()}")
