"""Separation by signal processing alone: what sounds long from what is struck, or the centre from the sides.

No model was trained for this, and no voice is told from a violin: it is named for what it does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from audiograph.errors import InvalidAudio
from audiograph.schemas import Request, SeparateRequest, TaskName
from deployments.models.base import LoadContext, Loaded, Model, Output, RunContext, Samples
from deployments.models.hpss.spectral import Spectra, filtered
from deployments.models.kit.separation import Mixture, StemWriter, check_stems, decode_mixture, stems_asked

KERNEL = 31
"""Spectra, and bins, over which a median is taken: a third of a second, and 670 Hz."""
_TINY = np.float32(1e-20)  # of power: less is silence

DECODED, SEPARATED = 0.1, 0.9
"""Fractions of the whole work."""


@dataclass(frozen=True, slots=True)
class Method:
    """A variant: the spectra of its first stem; the second is what that leaves of the mixture."""

    name: str
    stems: tuple[str, str]
    change: Callable[[Spectra], Spectra]
    seconds: float
    """Of the window of a spectrum, as near as a power of two comes to it."""
    reach: int = 0
    """Spectra on either side that `change` takes into account."""
    least_channels: int = 1


def harmonic(spectra: Spectra) -> Spectra:
    """What sounds long, after FitzGerald, "Harmonic/percussive separation using median filtering" (2010).

    Tones are lines along time, and a median over time removes all else; strokes are lines along frequency.
    Each bin is divided by the power of both (margin 1, soft masks). All channels are divided alike.
    """
    magnitude = np.sqrt(np.mean(np.square(np.abs(spectra)), axis=1))
    tones = np.square(_median(magnitude.T).T)
    strokes = np.square(_median(magnitude))
    share = (tones + _TINY) / (tones + strokes + 2 * _TINY)
    return spectra * share[:, None]


def center(spectra: Spectra) -> Spectra:
    """What is equal in both channels of stereo, by phase and level: often voice, bass and drums.

    A bin counts as far as left and right have their power in common, which is 1 where they are equal, and 0
    where one of them is silent, or they are a quarter of a turn or more apart.
    """
    left, right = spectra[:, 0], spectra[:, 1]
    common = 2 * (left * right.conj()).real
    power = np.square(np.abs(left)) + np.square(np.abs(right))
    share = np.clip(common / (power + _TINY), 0, 1)
    middle = share * (left + right) / 2
    return np.stack([middle, middle], axis=1)


METHODS = {
    method.name: method
    for method in (
        Method("harmonic_percussive", ("harmonic", "percussive"), harmonic, seconds=0.046, reach=KERNEL // 2),
        Method("center_channel", ("center", "sides"), center, seconds=0.093, least_channels=2),
    )
}


class Hpss(Model[Method]):
    """``separate`` without weights: two stems that add up to the mixture, to the last bit but rounding.

    ``harmonic_percussive`` takes tones from strokes; mono gives mono stems. ``center_channel`` takes what is
    in the middle of a stereo recording from what is at its sides, and refuses mono, which has no sides. Of
    more than two channels a stereo downmix is separated. Stems have the file's sample rate and length.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("separate",)
    variants = tuple(METHODS)
    default_variant = "harmonic_percussive"
    needs_weights = False

    def check_request(self, request: Request, variant: str) -> None:
        """Refuse unknown stems."""
        assert isinstance(request, SeparateRequest)
        check_stems(request, METHODS[variant].stems)

    def load(self, variant: str, context: LoadContext) -> Loaded[Method]:
        """Nothing to load."""
        return Loaded(METHODS[variant])

    def run(self, engine: Method, request: SeparateRequest, context: RunContext) -> Output:
        """Separate a file of any length, a few seconds at a time, from disk to disk.

        Raises:
            InvalidAudio: the method needs two channels, and the file has one.
        """
        mixture = decode_mixture(context, request.file)
        _check_channels(mixture, engine)
        stems = stems_asked(request, engine.stems)
        writer = StemWriter(context, mixture, stems, mixture.recording.channels)
        done = 0
        for sources in _separated(mixture, engine):
            writer.write(sources)
            done += sources.shape[1]
            share = done / mixture.recording.frames
            context.progress(DECODED + (SEPARATED - DECODED) * share, "separating")
        return writer.output(request, list(_notes(request)))


def _check_channels(mixture: Mixture, engine: Method) -> None:
    if mixture.recording.channels < engine.least_channels:
        raise InvalidAudio(
            f"{engine.name} needs a stereo file, and this one has one channel; "
            "send stereo, or take the variant harmonic_percussive",
            field="file",
        )


def _separated(mixture: Mixture, engine: Method) -> Iterator[Samples]:
    """Blocks ``[2, frames, channels]`` of both stems."""
    window = 2 ** round(np.log2(engine.seconds * mixture.rate))
    at = 0
    for first in filtered(mixture.recording, window, engine.reach, engine.change):
        whole = mixture.recording.read(at, at + len(first))
        yield np.stack([first, whole - first])
        at += len(first)


def _median(lines: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median over `KERNEL` neighbours along each line, which is continued by its mirror image.

    All lines as one: in one dimension scipy has an algorithm ten times as fast.
    """
    padded = np.pad(lines, ((0, 0), (KERNEL // 2, KERNEL // 2)), mode="symmetric")
    medians = scipy.ndimage.median_filter(padded.ravel(), size=KERNEL).reshape(padded.shape)
    inner: NDArray[np.float32] = medians[:, KERNEL // 2 : -(KERNEL // 2)]
    return inner


def _notes(request: SeparateRequest) -> Iterator[str]:
    ignored: Sequence[str] = [
        name for name in ("shifts", "overlap", "segment") if name in request.model_fields_set
    ]
    if ignored:
        yield f"ignored, since nothing here depends on them: {', '.join(ignored)}."
