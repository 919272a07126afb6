"""Progress, cancellation and early segments out of `whisper.transcribe`, which has no callback for them.

It tells of its work in two places: it calls ``model.decode`` for every window of 30 s (again at a higher
temperature if that fails), and it moves a tqdm bar at the end of every window in which it heard speech.
`Listener` stands in both.
"""

import importlib
import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

from audiograph.schemas import Segment
from deployments.models.base import RunContext, Samples

FRAMES_PER_SECOND = 100
WINDOW_FRAMES = 3000
MAX_TOKENS = 224
"""The most that whisper decodes per window: half of its context."""

STAGE = "transcribing"
SPOKEN = re.compile(r"<\|(\d+\.\d\d)\|>((?:(?!<\|).)+)<\|(\d+\.\d\d)\|>", re.DOTALL)

_listening: ContextVar["Listener | None"] = ContextVar("whisper_listener", default=None)


def transcribe(
    model: Any, samples: Samples, context: RunContext, *, temperatures: Sequence[float], **options: Any
) -> dict[str, Any]:
    """`whisper.transcribe` that reports to a run's context.

    Args:
        model: a loaded Whisper, which no one else may be using.
        samples: float32 ``[frames]`` at 16 kHz.
        context: gets progress at every token, and every segment as a partial result when its window ends;
            word times may move it a little afterwards.
        temperatures: tried in this order until decoding succeeds.
        options: what else `whisper.transcribe` takes.

    Returns:
        whisper's own dictionary: text, segments, language.

    Raises:
        Canceled: the context says so; within one token or one layer of the encoder.
    """
    import whisper

    # Its name for the module, not tqdm's own: other users of tqdm notice nothing. Outside a run the bar
    # is the usual one, and setting it twice is the same as once, so threads need no lock.
    importlib.import_module("whisper.transcribe").tqdm = SimpleNamespace(tqdm=_bar)  # type: ignore[attr-defined]
    listener = Listener(model, context, first_temperature=temperatures[0])
    token = _listening.set(listener)
    try:
        heard: dict[str, Any] = whisper.transcribe(
            listener, samples, temperature=tuple(temperatures), **options
        )
        return heard
    finally:
        _listening.reset(token)


def _bar(*args: Any, **kwargs: Any) -> AbstractContextManager[Any]:
    import tqdm

    listener = _listening.get()
    if listener is None:
        usual: AbstractContextManager[Any] = tqdm.tqdm(*args, **kwargs)
        return usual
    listener.total = kwargs["total"]
    return nullcontext(listener)


class Listener:
    """A Whisper model, and a progress bar, as far as `whisper.transcribe` can tell."""

    def __init__(self, model: Any, context: RunContext, *, first_temperature: float) -> None:
        from whisper.tokenizer import get_tokenizer

        self.total = 0
        """Length of the recording in frames, once known."""
        self._model = model
        self._context = context
        self._first_temperature = first_temperature
        self._tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
        self._position = 0  # of the present window, in frames
        self._result: Any = None  # of the present window, while the bar has not moved
        self._tokens = 0
        self._fraction = 0.0
        self._segments = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, *args: Any) -> Any:
        """The pass that times words. Not hooked: whisper would leave its own hooks behind if it raised."""
        return self._model(*args)

    def detect_language(self, mel: Any) -> Any:
        """As the model does, with an ear on cancellation."""
        with self._hooks():
            return self._model.detect_language(mel)

    def decode(self, mel: Any, options: Any) -> Any:
        """Decode one window at one temperature."""
        if self._result is not None and options.temperature == self._first_temperature:
            self._position += WINDOW_FRAMES  # a new window, yet no update: the last one held no speech
        self._result, self._tokens = None, 0
        with self._hooks():
            self._result = self._model.decode(mel, options)
        return self._result

    def update(self, frames: int) -> None:
        """The bar moves: a window with speech is done."""
        self._send_segments()
        self._position += frames
        self._result, self._tokens = None, 0
        self._report()

    @contextmanager
    def _hooks(self) -> Iterator[None]:
        model = self._model
        handles = [model.decoder.register_forward_pre_hook(self._count_token)]
        handles += [layer.register_forward_pre_hook(self._check) for layer in model.encoder.blocks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _check(self, _module: Any, _inputs: Any) -> None:
        self._context.check()

    def _count_token(self, _module: Any, _inputs: Any) -> None:
        self._report()
        self._tokens += 1

    def _report(self) -> None:
        window = min(WINDOW_FRAMES, self.total - self._position)
        done = self._position + window * min(1.0, self._tokens / MAX_TOKENS)
        # A higher temperature starts its window again; the bar must not go back with it.
        self._fraction = max(self._fraction, min(1.0, done / self.total) if self.total else 0.0)
        self._context.progress(self._fraction, STAGE)

    def _send_segments(self) -> None:
        offset, duration = self._position / FRAMES_PER_SECOND, self.total / FRAMES_PER_SECOND
        for start, text, end in SPOKEN.findall(self._tokenizer.decode_with_timestamps(self._result.tokens)):
            segment = Segment(
                id=self._segments,
                start=round(min(offset + float(start), duration), 3),
                end=round(min(offset + float(end), duration), 3),
                text=text.strip(),
                temperature=self._result.temperature,
                avg_logprob=self._result.avg_logprob,
            )
            self._segments += 1
            self._context.partial({"segment": segment.model_dump(exclude_none=True)})
