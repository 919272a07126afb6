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
    is_single,
)
from deployments.models.pitch_analysis.picture import draw_chroma
from deployments.models.pitch_analysis.tonalness import Tonalness, emphasis, tonalness

_SILENCE = 1e-4  # -80 dB relative to full scale
_DOMINANT = 0.5  # relative to the strongest pitch class
_NO_TONES, _CLEAR_TONES = 0.1, 0.2  # shares of the sound: noise and drums have less, music has more
_MIN_PITCHED = 0.5
_SOME_TONES = 0.05  # of a frame: music among drums or noise counts in full, noise alone hardly
_MIN_CONTRAST = 0.3  # of the mean chroma
_MIN_STRENGTH = 0.1  # the loudest note of hardly pitched sound is drawn dark
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
        Method("librosa_chroma", LibrosaChroma),
    )
}


class PitchAnalysis(Model[Method, AnalyzePitchRequest]):
    """``analyze_pitch`` by chroma and key profiles.

    ``confidence`` estimates the probability that the key is correct. It was measured for ``enhanced_chroma``
    on hundreds of synthetic songs: with a confidence of about 0.5, half of the keys were correct; with about
    0.7, eight in ten; above 0.8, nearly all. In doubtful cases keys of the same notes, such as C major and
    A minor, share the confidence. Sound without pitch, such as noise or drums, has almost none, nor has a
    single note: it names a tonic, and the key is given as its major. Candidates are sorted by likelihood.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("analyze_pitch",)
    variants = tuple(METHODS)
    default_variant = "enhanced_chroma"

    def load(self, variant: str, context: LoadContext) -> Method:
        """Return the method; for ``librosa_chroma``, compile librosa's functions first, which is slow."""
        if variant == "librosa_chroma":
            _compile_librosa(context.work_dir / "numba")
        return METHODS[variant]

    def run(self, engine: Method, request: AnalyzePitchRequest, context: RunContext) -> Output:
        """Analyze the whole recording, a minute at a time.

        Raises:
            NotFound: the file does not exist any more.
            InvalidAudio: the file cannot be decoded, or is empty or silent.
        """
        context.progress(0.0, "decoding")
        samples, _ = context.audio(request.file, sample_rate=SAMPLE_RATE, mono=True)
        _refuse_silence(samples)
        samples = samples - samples.mean()
        duration = len(samples) / SAMPLE_RATE
        context.progress(0.1, "listening")
        extractor = engine.extractor(samples)
        chroma, tones = _listen(extractor, samples, context)
        chroma = _normalize(chroma, tones)
        mean = chroma.mean(axis=1)
        context.progress(0.9, "drawing")
        ends = _ends(chroma) if engine.uses_ends else ()
        pitched = _pitched(tones)
        trust = pitched * min(1.0, duration / _SHORT_SECONDS)
        estimate = estimate_key(mean, engine.profiles, ends=ends, trust=trust)
        result = _result(estimate, mean, pitched, extractor.tuning, duration)
        name = f"pitch_analysis_{engine.name}"
        files = (
            FileOutput(f"{name}.json", _json(result, chroma), "application/json"),
            FileOutput(f"{name}.png", draw_chroma(chroma, duration, _title(result)), "image/png"),
        )
        context.progress(1.0)
        return Output(result, files, audio_seconds=duration)


def _refuse_silence(samples: Samples) -> None:
    if not len(samples):
        raise InvalidAudio("no pitched sound: the file has no samples", field="file")
    if max(samples.max(), -samples.min()) < _SILENCE:
        raise InvalidAudio("no pitched sound: the file is silent", field="file")


def _listen(extractor: ChromaExtractor, samples: Samples, context: RunContext) -> tuple[Array, Tonalness]:
    """Return the chroma ``[12, frames]`` and the tonalness of the whole recording, and report progress."""
    parts, tones = [], []
    total = frame_count(samples)
    for block in blocks(samples):
        parts.append(extractor(block))
        tones.append(tonalness(block, len(samples) / SAMPLE_RATE))
        context.progress(0.1 + 0.8 * min(len(parts) * BLOCK_FRAMES / total, 1.0), "listening")
    share, level = (np.concatenate(values) for values in zip(*tones, strict=True))
    return np.concatenate(parts, axis=1), Tonalness(share, level)


def _pitched(tones: Tonalness) -> float:
    """Return how clearly the recording has pitch, 0..1."""
    return float(np.clip((tones.overall() - _NO_TONES) / (_CLEAR_TONES - _NO_TONES), 0, 1))


def _stands_out(pitched: float, mean: Array) -> bool:
    """Return whether some pitch classes are clearly stronger than others."""
    return pitched >= _MIN_PITCHED and contrast(mean) >= _MIN_CONTRAST


def _normalize(chroma: Array, tones: Tonalness) -> Array:
    """Normalize chroma ``[12, frames]``: loud and soft frames count alike, nearly silent ones count less.

    Frames without tones count for nothing. The largest value is 1, or less if there are hardly any tones.
    """
    heard = np.minimum(tones.share / _SOME_TONES, 1)
    level = np.linalg.norm(chroma, axis=0)
    normalized: Array = chroma * (heard * emphasis(level) / np.maximum(level, 1e-12))
    normalized /= max(float(normalized.max()), _MIN_STRENGTH)
    return normalized


def _ends(chroma: Array) -> tuple[Array, ...]:
    """Return the mean chroma ``[12]`` of the first and of the last sounds, at most two seconds each.

    Without any pitched sound, there are none.
    """
    level = chroma.sum(axis=0)
    if not level.any():
        return ()
    sounding = np.flatnonzero(level > 0.2 * np.percentile(level, 95))
    frames = max(3, min(int(chroma.shape[1] * _END_FRACTION), _MAX_END_FRAMES))
    first, last = sounding[0], sounding[-1] + 1
    beginning, end = chroma[:, first : first + frames], chroma[:, max(last - frames, 0) : last]
    return beginning.mean(axis=1), end.mean(axis=1)


def _dominant(mean: Array) -> list[str]:
    """Return the pitch classes that are about as strong as the strongest one, which comes first."""
    strongest = np.argsort(mean)[::-1]
    return [PITCHES[n] for n in strongest if mean[n] >= _DOMINANT * mean.max()]


def _result(
    estimate: KeyEstimate, mean: Array, pitched: float, tuning: float | None, duration: float
) -> PitchResult:
    notes = (_pitch_note(pitched, mean), _short_note(duration))
    return PitchResult(
        detected_key=estimate.key,
        confidence=estimate.confidence,
        dominant_pitches=_dominant(mean) if _stands_out(pitched, mean) else [],
        candidates=[KeyCandidate(key=key, correlation=value) for key, value in estimate.candidates],
        chroma_mean=[round(float(value), 4) for value in mean / (mean.max() or 1.0)],
        tuning_cents=None if tuning is None or pitched < _MIN_PITCHED else round(100 * tuning, 1),
        duration=duration,
        notes=[note for note in notes if note],
    )


def _pitch_note(pitched: float, mean: Array) -> str | None:
    if pitched < _MIN_PITCHED:
        return "hardly any pitched sound was found: the key is a guess"
    if not _stands_out(pitched, mean):
        return "all pitches are about equally strong: the key is a guess"
    if is_single(mean):
        return f"only one pitch was found, {_dominant(mean)[0]}: it names a tonic, but no key"
    return None


def _short_note(duration: float) -> str | None:
    if duration < _SHORT_SECONDS:
        return f"the file is very short for estimating a key: {duration:.2f} s"
    return None


def _json(result: PitchResult, chroma: Array) -> bytes:
    """Return the result and the chroma over time, a list of twelve values per frame, as JSON."""
    frames = [[round(value, 3) for value in frame] for frame in chroma.T.tolist()]
    over_time = {"sample_rate": SAMPLE_RATE, "hop": HOP, "pitches": PITCHES, "frames": frames}
    return json.dumps(result.model_dump() | {"chroma": over_time}).encode()


def _title(result: PitchResult) -> str:
    return "  ·  ".join([result.detected_key, f"confidence {result.confidence:.0%}", *result.notes[:1]])


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
