"""Separation by signal processing alone: harmonic from percussive sounds, or the center from the sides.

No trained model is involved: it separates sounds by their shape or position, not instruments.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from audiograph.errors import InvalidAudio
from audiograph.schemas import SeparateRequest, TaskName
from deployments.models.base import LoadContext, Model, Output, RunContext, Samples
from deployments.models.hpss.spectral import Spectra, filter_spectra
from deployments.models.kit.separation import (
    Mixture,
    StemWriter,
    check_stems,
    decode_mixture,
    requested_stems,
)

KERNEL_SIZE = 31
"""Length of the median filters: a third of a second along time, 670 Hz along frequency."""
_EPSILON = np.float32(1e-20)  # of power: keeps the masks of silent bins finite

DECODED = 0.1
"""Progress when the file is decoded."""
SEPARATED = 0.9
"""Progress when all blocks are separated."""


@dataclass(frozen=True, slots=True)
class Method:
    """A variant with two stems: the first is extracted, the second is the rest of the mixture."""

    name: str
    stems: tuple[str, str]
    extract: Callable[[Spectra], Spectra]
    """Returns the spectra of the first stem from those of the mixture."""
    window_seconds: float
    """Length of a spectrum's window; the nearest power of two in samples is used."""
    reach: int = 0
    """Spectra on either side that `extract` takes into account."""
    min_channels: int = 1


def harmonic(spectra: Spectra) -> Spectra:
    """Extract harmonic sounds from spectra ``[frames, channels, bins]``.

    After FitzGerald, "Harmonic/percussive separation using median filtering" (2010), with soft masks and
    margin 1 as in `librosa.decompose.hpss`: a median along time keeps steady tones, and one along frequency
    keeps percussive strokes. All channels share one mask.
    """
    magnitude = np.sqrt(np.mean(np.square(np.abs(spectra)), axis=1))
    tones = np.square(_median(magnitude.T).T)
    strokes = np.square(_median(magnitude))
    mask = (tones + _EPSILON) / (tones + strokes + 2 * _EPSILON)
    return spectra * mask[:, None]


def center(spectra: Spectra) -> Spectra:
    """Extract the center of stereo spectra ``[frames, 2, bins]``: often voice, bass and drums.

    The mask is the power that left and right have in common. It is 1 where they are equal in level and phase,
    and 0 where one of them is silent or their phases differ by 90 degrees or more.
    """
    left, right = spectra[:, 0], spectra[:, 1]
    common = 2 * (left * right.conj()).real
    power = np.square(np.abs(left)) + np.square(np.abs(right))
    mask = np.clip(common / (power + _EPSILON), 0, 1)
    middle = mask * (left + right) / 2
    return np.stack([middle, middle], axis=1)


METHODS = {
    method.name: method
    for method in (
        Method(
            "harmonic_percussive",
            ("harmonic", "percussive"),
            harmonic,
            window_seconds=0.046,
            reach=KERNEL_SIZE // 2,
        ),
        Method("center_channel", ("center", "sides"), center, window_seconds=0.093, min_channels=2),
    )
}


class Hpss(Model[Method, SeparateRequest]):
    """``separate`` without weights: two stems that add up to the mixture, except for rounding.

    ``harmonic_percussive`` separates tones from strokes; the stems of a mono file are mono.
    ``center_channel`` separates the center of a stereo file from its sides, and refuses mono. Files with more
    than two channels are first mixed down to stereo. Stems have the file's sample rate and length.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("separate",)
    variants = tuple(METHODS)
    default_variant = "harmonic_percussive"

    def check_request(self, request: SeparateRequest, variant: str) -> None:
        """Refuse unknown stems.

        Raises:
            InvalidRequest: with the field, its value and the known stems.
        """
        check_stems(request, METHODS[variant].stems)

    def load(self, variant: str, context: LoadContext) -> Method:
        """Return the method: there is nothing to load."""
        return METHODS[variant]

    def run(self, engine: Method, request: SeparateRequest, context: RunContext) -> Output:
        """Separate a file of any length, a few seconds at a time, from disk to disk.

        Raises:
            NotFound, InvalidAudio: like `RunContext.stream`.
            InvalidAudio: the method needs two channels, and the file has one.
        """
        mixture = decode_mixture(context, request.file)
        _check_channels(mixture, engine)
        stems = requested_stems(request, engine.stems)
        writer = StemWriter(context, mixture, stems, mixture.recording.channels)
        done = 0
        for sources in _separated(mixture, engine):
            writer.write(sources)
            done += sources.shape[1]
            fraction = done / mixture.recording.frames
            context.progress(DECODED + (SEPARATED - DECODED) * fraction, "separating")
        return writer.output(request, list(_notes(request)))


def _check_channels(mixture: Mixture, engine: Method) -> None:
    if mixture.recording.channels < engine.min_channels:
        raise InvalidAudio(
            f"{engine.name} needs a stereo file, but this one has one channel; "
            "send a stereo file, or use the variant harmonic_percussive",
            field="file",
        )


def _separated(mixture: Mixture, engine: Method) -> Iterator[Samples]:
    """Yield consecutive blocks ``[2, frames, channels]`` of both stems."""
    window = 2 ** round(np.log2(engine.window_seconds * mixture.rate))
    at = 0
    for first in filter_spectra(mixture.recording, window, engine.reach, engine.extract):
        block = mixture.recording.read(at, at + len(first))
        yield np.stack([first, block - first])
        at += len(first)


def _median(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the median of `KERNEL_SIZE` neighbors along each row, which is padded by its mirror image.

    The rows are filtered as one long row, since scipy's one-dimensional algorithm is ten times faster.
    """
    edge = KERNEL_SIZE // 2
    padded = np.pad(rows, ((0, 0), (edge, edge)), mode="symmetric")
    medians = scipy.ndimage.median_filter(padded.ravel(), size=KERNEL_SIZE).reshape(padded.shape)
    inner: NDArray[np.float32] = medians[:, edge:-edge]
    return inner


def _notes(request: SeparateRequest) -> Iterator[str]:
    ignored = [name for name in ("shifts", "overlap", "segment") if name in request.model_fields_set]
    if ignored:
        yield f"ignored, since this model does not use them: {', '.join(ignored)}."
