"""Runs the graph of Kokoro-82M: symbols and a style in, speech and the duration of each symbol out.

All requests share one session. A run uses one thread, and as many take place at a time as there are
processors, in the order in which they were submitted. A request submits its sentences only a few ahead, so
that it never delays another one by more than these.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from deployments.models.base import Samples
from deployments.models.kit.resources import all_processors
from deployments.models.kokoro.onnx_file import INT64, graph, graph_part, node, tensor
from deployments.models.kokoro.symbols import tokens_of
from deployments.models.kokoro.voices import Mixture

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

SAMPLE_RATE = 24_000
FRAME_SAMPLES = 600
"""Samples of one frame, of 25 ms."""
CHECK_SECONDS = 0.1
"""While a run takes place, a cancel is checked for this often."""

DURATIONS = "/encoder/Clip_output_0"
"""The tensor of the published graph that holds the frames of each token."""

Styles: TypeAlias = NDArray[np.float32]
"""A voice's styles by the number of symbols: ``[510, 1, 256]``."""
Check: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Line:
    """What one run speaks."""

    symbols: str
    """1 to 510 symbols of the vocabulary."""
    voice: Mixture


@dataclass(frozen=True, slots=True)
class Utterance:
    """The speech of a line."""

    samples: Samples
    """Mono ``[frames]``, not limited to -1..1."""
    frames: NDArray[np.int64]
    """Frames of `FRAME_SAMPLES` of each token, the pads at both ends included."""


class Engine:
    """A session and its voices.

    Args:
        content: bytes of the graph.
        voices: styles by name of voice.
        device: ``"cuda"`` uses the GPU if the installed onnxruntime can, and else the processors.
    """

    def __init__(self, content: bytes, voices: Mapping[str, Styles], device: str) -> None:
        self.runs_at_a_time = all_processors()
        self._session = _session(with_durations(content), device)
        self._voices = voices
        self._pool = ThreadPoolExecutor(self.runs_at_a_time, thread_name_prefix="kokoro")

    def speak(self, lines: Iterable[Line], speed: float, check: Check) -> Generator[Utterance, None, None]:
        """Speak lines, and yield each utterance as soon as it and those before it are spoken.

        While one is spoken, the next ones are as well, as far as there are processors. Closing the generator
        cancels the runs.

        Args:
            lines: taken only as far ahead as they are spoken.
            speed: factor of the pace.
            check: called while waiting; may raise to cancel the runs.
        """
        runs: deque[_Run] = deque()
        try:
            for line in lines:
                runs.append(self._submit(line, speed))
                if len(runs) >= self.runs_at_a_time:
                    yield runs[0].result(check)
                    runs.popleft()
            while runs:
                yield runs[0].result(check)
                runs.popleft()
        finally:
            for run in runs:
                run.cancel()

    def close(self) -> None:
        """Wait for the runs in progress, and end the threads."""
        self._pool.shutdown(cancel_futures=True)

    def _submit(self, line: Line, speed: float) -> "_Run":
        options = _run_options()
        inputs: dict[str, NDArray[Any]] = {
            "tokens": np.array([tokens_of(line.symbols)], np.int64),
            "style": self._style(line.voice, len(line.symbols)),
            "speed": np.array([speed], np.float32),
        }
        return _Run(self._pool.submit(self._run, inputs, options), options)

    def _run(self, inputs: dict[str, NDArray[Any]], options: "RunOptions") -> Utterance:
        audio, frames = self._session.run(["audio", "duration"], inputs, options)
        return Utterance(audio.reshape(-1), frames[0])

    def _style(self, voice: Mixture, symbols: int) -> Samples:
        """Mix the styles of a text with that many symbols, ``[1, 256]``."""
        styles = np.stack([self._voices[name][symbols - 1] for name, _ in voice.weights])
        weights = np.array([weight for _, weight in voice.weights], np.float32)
        mixed: Samples = np.tensordot(weights, styles, 1)
        return mixed


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that waits for a processor, or takes place."""

    future: Future[Utterance]
    options: "RunOptions"

    def result(self, check: Check) -> Utterance:
        while True:
            try:
                return self.future.result(CHECK_SECONDS)
            except TimeoutError:
                check()

    def cancel(self) -> None:
        self.future.cancel()
        self.options.terminate = True  # within 20 ms, if it takes place


def with_durations(content: bytes) -> bytes:
    """Add the output ``duration``, int64 ``[1, tokens]``, to the bytes of a graph."""
    cast = node("Cast", [DURATIONS], "duration", to=INT64)
    output = tensor("duration", INT64, [1, "sequence_length"])
    return content + graph_part(graph(nodes=[cast], outputs=[output]))


def _session(content: bytes, device: str) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = ["CUDAExecutionProvider"] if device == "cuda" else []
    available = set(onnxruntime.get_available_providers())
    providers = [provider for provider in wanted if provider in available]
    return onnxruntime.InferenceSession(content, options, providers=[*providers, "CPUExecutionProvider"])


def _run_options() -> "RunOptions":
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.log_severity_level = 4  # a canceled run is no error of the server
    # The arena gives back what a long sentence took: it would keep a gigabyte, for 1 or 2 % of the time.
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options
