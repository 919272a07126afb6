"""htdemucs against `demucs.apply.apply_model` on the same weights."""

from collections.abc import Iterator
from functools import partial

from benchmarks import full_size
from benchmarks.demucs_speed import apply_reference, separate
from benchmarks.gpu.setting import Result, Setting, rate
from benchmarks.sounds import write_song

SONG_SECONDS = 180
UNIT = "s of music"


def measure(setting: Setting) -> Iterator[Result]:
    """Measure seconds of music per second, from the file to all four stems."""
    bag = full_size.htdemucs(setting.device, tiny=setting.tiny)
    seconds = setting.pick(SONG_SECONDS, 2)
    song = write_song(setting.folder / "song.wav", seconds, 44_100, channels=2)
    calls = {
        "Audiograph, stems on disk": partial(separate, bag, song),
        "demucs' apply_model, stems in memory": partial(apply_reference, bag, song),
    }
    for name, call in calls.items():
        yield rate(setting, f"a song of {seconds} s: {name}", call, seconds, UNIT, rounds=setting.pick(3, 1))
