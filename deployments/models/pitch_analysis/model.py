"""The key, pitches and chroma of a recording, by signal processing alone."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from audiograph.errors import InvalidAudio
from audiograph.schemas import AnalyzePitchRequest, KeyCandidate, PitchResult, TaskName
from deployments.models.base import (
    FileOutput,
    LoadContext,
    Loaded,
    Model,
    Output,
    RunContext,
    Samples,
)
from deployments.models.pitch_analysis.chroma import (
    BLOCK_FRAMES,
    HOP,
    SAMPLE_RATE,
    Array,
    BasicChroma,
    ChromaMaker,
    EnhancedChroma,
    LibrosaChroma,
    blocks,
    frame_count,
)
from deployments.models.pitch_analysis.key_profiles import (
    ALBRECHT_SHANAHAN,
    KRUMHANSL_KESSLER,
    PITCHES,
    KeyEstimate,
    Templates,
    contrast,
    estimate_key,
)
from deployments.models.pitch_analysis.picture import draw_chroma

_SILENCE = 1e-4  # of full scale: -80 dB
_DOMINANT = 0.5  # of the strongest pitch class
_SHORT_SECONDS = 1.0
_END_FRAMES = 20  # the first and last two seconds, or less of a short recording
_END_FRACTION = 0.12


@dataclass(frozen=True, slots=True)
class Method:
    """A variant: how it hears chroma, and what it makes of it."""

    name: str
    listen: Callable[[Samples], ChromaMaker]
    profiles: tuple[Templates, ...] = (KRUMHANSL_KESSLER,)
    hears_ends: bool = False
    atonal: float = 0.3
    """The contrast of mean chroma that all music exceeds, and noise and speech do not."""


METHODS = {
    method.name: method
    for method in (
        Method(
            "enhanced_chroma",
            EnhancedChroma,
            profiles=(KRUMHANSL_KESSLER, ALBRECHT_SHANAHAN),
            hears_ends=True,
        ),
        Method("basic_chroma", lambda samples: BasicChroma()),
        Method("librosa_chroma", LibrosaChroma, atonal=0.2),
    )
}


class PitchAnalysis(Model[Method]):
    """``analyze_pitch`` by chroma and key profiles.

    ``confidence`` says how likely the key is the right one. For ``enhanced_chroma`` that was measured on
    hundreds of synthetic songs: of those with about 0.5, half were right; with about 0.7, eight in ten; over
    0.8, nearly all. Keys of the same notes (C major, A minor) share it in doubtful cases, and sound without
    pitch, such as noise, gets next to none. Candidates are in the order of likelihood.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("analyze_pitch",)
    variants = tuple(METHODS)
    default_variant = "enhanced_chroma"
    needs_weights = False

    def load(self, variant: str, context: LoadContext) -> Loaded[Method]:
        """Nothing to load, but for ``librosa_chroma``: its code is compiled at first, which takes a while."""
        if variant == "librosa_chroma":
            _compile_librosa(context.work_dir / "numba")
        return Loaded(METHODS[variant])

    def run(self, engine: Method, request: AnalyzePitchRequest, context: RunContext) -> Output:
        """Analyze the whole recording, a minute at a time.

        Raises:
            InvalidAudio: there is no pitch to be heard: the recording is empty or silent.
        """
        context.progress(0.0, "decoding")
        samples, _ = context.audio(request.file, sample_rate=SAMPLE_RATE, mono=True)
        _refuse_silence(samples)
        context.progress(0.1, "listening")
        maker = engine.listen(samples)
        chroma = _even_out(_chroma(maker, samples, context))
        mean = chroma.mean(axis=1)
        context.progress(0.9, "drawing")
        ends = _ends(chroma) if engine.hears_ends else ()
        duration = len(samples) / SAMPLE_RATE
        trust = min(1.0, duration / _SHORT_SECONDS)
        estimate = estimate_key(mean, engine.profiles, ends=ends, trust=trust)
        notes = _notes(contrast(mean) < engine.atonal, duration)
        result = _result(estimate, mean, maker.tuning, duration, notes)
        name = f"pitch_analysis_{engine.name}"
        files = (
            FileOutput(f"{name}.json", _json(result, chroma), "application/json"),
            FileOutput(f"{name}.png", draw_chroma(chroma, duration, _title(estimate)), "image/png"),
        )
        context.progress(1.0)
        return Output(result, files, audio_seconds=duration)


def _refuse_silence(samples: Samples) -> None:
    if not len(samples):
        raise InvalidAudio("no pitched sound: the file has no samples", field="file")
    if np.abs(samples - samples.mean()).max() < _SILENCE:  # a constant offset is silent as well
        raise InvalidAudio("no pitched sound: the file is silent", field="file")


def _chroma(maker: ChromaMaker, samples: Samples, context: RunContext) -> Array:
    """Chroma ``[12, frames]`` of the whole recording."""
    parts = []
    total = frame_count(samples)
    for block in blocks(samples):
        parts.append(maker(block))
        context.progress(0.1 + 0.8 * min(len(parts) * BLOCK_FRAMES / total, 1.0), "listening")
    return np.concatenate(parts, axis=1)


def _even_out(chroma: Array) -> Array:
    """Give loud and soft frames the same say, but nearly silent ones less; the largest value is 1.

    Raises:
        InvalidAudio: nothing is left of it, as of a hum below all notes.
    """
    level = np.linalg.norm(chroma, axis=0)
    if not level.any():
        raise InvalidAudio("no pitched sound was found in the file", field="file")
    even: Array = chroma / (level + 0.1 * np.percentile(level, 95) + 1e-12)
    even /= even.max()
    return even


def _ends(chroma: Array) -> tuple[Array, Array]:
    """Mean chroma of the first and last sounds."""
    level = chroma.sum(axis=0)
    sounding = np.flatnonzero(level > 0.2 * np.percentile(level, 95))
    frames = max(3, min(int(chroma.shape[1] * _END_FRACTION), _END_FRAMES))
    first, last = sounding[0], sounding[-1] + 1
    return chroma[:, first : first + frames].mean(axis=1), chroma[:, max(last - frames, 0) : last].mean(
        axis=1
    )


def _result(
    estimate: KeyEstimate, mean: Array, tuning: float | None, duration: float, notes: list[str]
) -> PitchResult:
    strongest = np.argsort(mean)[::-1]
    return PitchResult(
        detected_key=estimate.key,
        confidence=estimate.confidence,
        dominant_pitches=[PITCHES[n] for n in strongest if mean[n] >= _DOMINANT * mean.max()],
        candidates=[KeyCandidate(key=key, correlation=value) for key, value in estimate.candidates],
        chroma_mean=[round(float(value), 4) for value in mean / mean.max()],
        tuning_cents=None if tuning is None else round(100 * tuning, 1),
        duration=duration,
        notes=notes,
    )


def _notes(atonal: bool, duration: float) -> list[str]:
    notes = []
    if atonal:
        notes.append("hardly any pitched sound was found: the key is a guess")
    if duration < _SHORT_SECONDS:
        notes.append(f"the file is very short for a key: {duration:.2f} s")
    return notes


def _json(result: PitchResult, chroma: Array) -> bytes:
    """The result, and the chroma over time: a list of twelve values a frame."""
    frames = [[round(value, 3) for value in frame] for frame in chroma.T.tolist()]
    over_time = {"sample_rate": SAMPLE_RATE, "hop": HOP, "pitches": PITCHES, "frames": frames}
    return json.dumps(result.model_dump() | {"chroma": over_time}).encode()


def _title(estimate: KeyEstimate) -> str:
    return f"{estimate.key}  ·  confidence {estimate.confidence:.0%}"


def _compile_librosa(folder: Path) -> None:
    """Let numba compile what librosa needs into a folder of ours, one process at a time.

    Two that compile at once can leave a cache that crashes every process after them
    (https://github.com/numba/numba/issues/10128).
    """
    with _locked(folder):
        # It compiles in a fourth less time, and costs a tenth of the time of listening, at most.
        os.environ.setdefault("NUMBA_OPT", "1")
        import numba

        numba.config.CACHE_DIR = str(folder)
        tone = np.sin(np.arange(2 * SAMPLE_RATE) / 4).astype(np.float32)
        for block in blocks(tone):
            LibrosaChroma(tone)(block)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # let go of when closed, also by a process that dies
        yield
