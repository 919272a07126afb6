"""Key, pitches and chroma of a recording, by signal processing alone."""

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
    ChromaExtractor,
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
    Profiles,
    contrast,
    estimate_key,
)
from deployments.models.pitch_analysis.picture import draw_chroma

_SILENCE = 1e-4  # -80 dB relative to full scale
_DOMINANT = 0.5  # relative to the strongest pitch class
_SHORT_SECONDS = 1.0
_MAX_END_FRAMES = 20  # two seconds
_END_FRACTION = 0.12


@dataclass(frozen=True, slots=True)
class Method:
    """A variant: its extractor of chroma, and its settings for the estimation of the key."""

    name: str
    extractor: Callable[[Samples], ChromaExtractor]
    profiles: tuple[Profiles, ...] = (KRUMHANSL_KESSLER,)
    uses_ends: bool = False
    min_contrast: float = 0.3
    """Contrast of the mean chroma that music exceeds, but noise and speech do not."""


METHODS = {
    method.name: method
    for method in (
        Method(
            "enhanced_chroma",
            EnhancedChroma,
            profiles=(KRUMHANSL_KESSLER, ALBRECHT_SHANAHAN),
            uses_ends=True,
        ),
        Method("basic_chroma", lambda samples: BasicChroma()),
        Method("librosa_chroma", LibrosaChroma, min_contrast=0.2),
    )
}


class PitchAnalysis(Model[Method, AnalyzePitchRequest]):
    """``analyze_pitch`` by chroma and key profiles.

    ``confidence`` estimates the probability that the key is correct. It was measured for ``enhanced_chroma``
    on hundreds of synthetic songs: with a confidence of about 0.5, half of the keys were correct; with about
    0.7, eight in ten; above 0.8, nearly all. In doubtful cases keys of the same notes, such as C major and
    A minor, share the confidence. Sound without pitch, such as noise, has almost none. Candidates are sorted
    by likelihood.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("analyze_pitch",)
    variants = tuple(METHODS)
    default_variant = "enhanced_chroma"
    needs_weights = False

    def load(self, variant: str, context: LoadContext) -> Loaded[Method]:
        """Return the method; for ``librosa_chroma``, compile librosa's functions first, which is slow."""
        if variant == "librosa_chroma":
            _compile_librosa(context.work_dir / "numba")
        return Loaded(METHODS[variant])

    def run(self, engine: Method, request: AnalyzePitchRequest, context: RunContext) -> Output:
        """Analyze the whole recording, a minute at a time.

        Raises:
            NotFound: the file does not exist any more.
            InvalidAudio: the file cannot be decoded, or is empty, silent or without any pitch.
        """
        context.progress(0.0, "decoding")
        samples, _ = context.audio(request.file, sample_rate=SAMPLE_RATE, mono=True)
        _refuse_silence(samples)
        context.progress(0.1, "listening")
        extractor = engine.extractor(samples)
        chroma = _normalize(_chroma(extractor, samples, context))
        mean = chroma.mean(axis=1)
        context.progress(0.9, "drawing")
        ends = _ends(chroma) if engine.uses_ends else ()
        duration = len(samples) / SAMPLE_RATE
        trust = min(1.0, duration / _SHORT_SECONDS)
        estimate = estimate_key(mean, engine.profiles, ends=ends, trust=trust)
        notes = _notes(contrast(mean) < engine.min_contrast, duration)
        result = _result(estimate, mean, extractor.tuning, duration, notes)
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


def _chroma(extractor: ChromaExtractor, samples: Samples, context: RunContext) -> Array:
    """Return the chroma ``[12, frames]`` of the whole recording, and report progress."""
    parts = []
    total = frame_count(samples)
    for block in blocks(samples):
        parts.append(extractor(block))
        context.progress(0.1 + 0.8 * min(len(parts) * BLOCK_FRAMES / total, 1.0), "listening")
    return np.concatenate(parts, axis=1)


def _normalize(chroma: Array) -> Array:
    """Normalize chroma ``[12, frames]``: loud and soft frames count alike, nearly silent ones count less.

    The largest value is 1.

    Raises:
        InvalidAudio: the chroma is zero, as that of a hum below the lowest note.
    """
    level = np.linalg.norm(chroma, axis=0)
    if not level.any():
        raise InvalidAudio("no pitched sound was found in the file", field="file")
    normalized: Array = chroma / (level + 0.1 * np.percentile(level, 95) + 1e-12)
    normalized /= normalized.max()
    return normalized


def _ends(chroma: Array) -> tuple[Array, Array]:
    """Return the mean chroma ``[12]`` of the first and of the last sounds, at most two seconds each."""
    level = chroma.sum(axis=0)
    sounding = np.flatnonzero(level > 0.2 * np.percentile(level, 95))
    frames = max(3, min(int(chroma.shape[1] * _END_FRACTION), _MAX_END_FRAMES))
    first, last = sounding[0], sounding[-1] + 1
    beginning, end = chroma[:, first : first + frames], chroma[:, max(last - frames, 0) : last]
    return beginning.mean(axis=1), end.mean(axis=1)


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
        notes.append(f"the file is very short for estimating a key: {duration:.2f} s")
    return notes


def _json(result: PitchResult, chroma: Array) -> bytes:
    """Return the result and the chroma over time, a list of twelve values per frame, as JSON."""
    frames = [[round(value, 3) for value in frame] for frame in chroma.T.tolist()]
    over_time = {"sample_rate": SAMPLE_RATE, "hop": HOP, "pitches": PITCHES, "frames": frames}
    return json.dumps(result.model_dump() | {"chroma": over_time}).encode()


def _title(estimate: KeyEstimate) -> str:
    return f"{estimate.key}  ·  confidence {estimate.confidence:.0%}"


def _compile_librosa(folder: Path) -> None:
    """Compile librosa's numba functions into a cache folder, one process at a time.

    Two processes that compile at the same time can leave a cache that crashes every later process
    (https://github.com/numba/numba/issues/10128).
    """
    with _locked(folder):
        # Saves a fourth of the time to compile, and costs at most a tenth of the time to compute chroma.
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
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file is closed, even if the process dies
        yield
