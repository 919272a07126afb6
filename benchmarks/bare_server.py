"""A minimal speech server for comparison: it calls espeak and stores nothing."""

import io
import threading

import espeakng_loader
import numpy as np
import soundfile
from fastapi import FastAPI, Response

from deployments.models.kit.espeak.library import Espeak
from deployments.models.kit.espeak.process import EspeakProcesses

VOICE = "en-us"
PARAMETERS = {"rate": 170, "pitch": 50, "range": 50, "volume": 100, "word_gap": 0}

_paths = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
_library = Espeak(*_paths)
_lock = threading.Lock()
_voices = {voice.id: voice for voice in _library.voices()}
_processes = EspeakProcesses(*_paths, _library.sample_rate, _voices)

app = FastAPI()


@app.get("/ready")
def ready() -> None:
    """Report that the server accepts requests."""


@app.post("/in_process")
def in_process(text: str) -> Response:
    """Speak in this process, one text at a time: the library's state is global."""
    chunks: list[bytes] = []
    with _lock:
        _library.speak(text, _voices[VOICE].path, PARAMETERS, lambda chunk, _: chunks.append(bytes(chunk)))
    return _wav(b"".join(chunks))


@app.post("/own_process")
def own_process(text: str) -> Response:
    """Speak in a new process, as Audiograph does: a crash of the library then affects one text only."""
    speech = _processes.speak(text, voice=VOICE, parameters=PARAMETERS, check=lambda: None)
    return _wav(b"".join(chunk.samples for chunk in speech))


def _wav(samples: bytes) -> Response:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.frombuffer(samples, "<i2"), _library.sample_rate, format="WAV")
    return Response(buffer.getvalue(), media_type="audio/wav")
