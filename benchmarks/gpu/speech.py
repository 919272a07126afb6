"""Whisper large-v3: windows of 30 s at once, against openai-whisper one by one, on the same weights."""

from collections.abc import Iterator
from functools import partial

from benchmarks import full_size
from benchmarks.gpu.setting import Result, Setting, rate
from benchmarks.whisper_speed import SECONDS, noise_recordings, together, transcribe_each
from deployments.models.whisper.model import Whisper, WhisperOptions

WINDOWS = (1, 16, 64)
UNIT = "s of speech"


def measure(setting: Setting) -> Iterator[Result]:
    """Measure seconds of speech per second, by number of windows that arrive at once."""
    model = full_size.whisper_large(setting.device, tiny=setting.tiny)
    windows = setting.pick(WINDOWS, (1, 3))
    recordings = noise_recordings(max(windows))
    for count in windows:
        title = f"{count} windows: Audiograph, by default"
        call = partial(together, Whisper(WhisperOptions()), model, recordings[:count])
        yield rate(setting, title, call, count * SECONDS, UNIT)
        if count == windows[0]:
            each = partial(transcribe_each, model, recordings[:1])
            yield rate(setting, "openai-whisper, one by one", each, SECONDS, UNIT, rounds=3)
    count = windows[-1]
    call = partial(together, Whisper(WhisperOptions(batch_size=count)), model, recordings)
    yield rate(setting, f"{count} windows: Audiograph, all in one batch", call, count * SECONDS, UNIT)
