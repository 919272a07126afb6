"""Decodes mixtures to disk, checks the requested stems, and writes them: for models that separate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from audiograph._wording import shown
from audiograph.errors import InvalidAudio, InvalidRequest
from audiograph.schemas import SeparateRequest, SeparateResult
from deployments.audio.downmix import to_stereo
from deployments.audio.recording import Recording
from deployments.audio.resample import Resampler
from deployments.models.base import AudioOutput, Output, RunContext, Samples

FULL_SCALE = 1.0


@dataclass(frozen=True, slots=True)
class Mixture:
    """A decoded file with one or two channels, at the model's sample rate."""

    recording: Recording
    rate: int
    """Sample rate of the recording, in Hz."""
    file_rate: int
    """Sample rate of the file, in Hz."""
    file_channels: int
    file_frames: int

    @property
    def duration(self) -> float:
        """Duration of the file in seconds."""
        return self.file_frames / self.file_rate


def decode_mixture(context: RunContext, file_id: str, sample_rate: int | None = None) -> Mixture:
    """Decode a file to disk, block by block; more than two channels are mixed down to two.

    Args:
        context: of the run.
        file_id: id of the stored file.
        sample_rate: Hz; None keeps the file's own rate.

    Raises:
        NotFound, InvalidAudio: like `RunContext.stream`.
        Canceled: the job was canceled.
    """
    with context.stream(file_id) as source:
        channels = min(source.channels, 2)
        rate = sample_rate or source.sample_rate
        recording = context.recording(channels)
        resampler = Resampler(channels, source.sample_rate, rate)
        frames = 0
        for block in source.blocks:
            context.progress(0.0, "decoding")
            recording.append(resampler(to_stereo(block)))
            frames += len(block)
        recording.append(resampler.finish())
        if not recording.frames:
            raise InvalidAudio("there is nothing to separate: the file has no samples", field="file")
        return Mixture(recording, rate, source.sample_rate, source.channels, frames)


def check_stems(request: SeparateRequest, known: Sequence[str]) -> None:
    """Refuse stems that a model does not have.

    Raises:
        InvalidRequest: with the field, the stem and the known ones.
    """
    if request.stems is not None and request.two_stems is not None:
        raise InvalidRequest(
            "stems and two_stems exclude each other: name several stems, or one to separate from the rest",
            field="two_stems",
        )
    requested = [(f"stems.{index}", stem) for index, stem in enumerate(request.stems or ())]
    if request.two_stems is not None:
        requested.append(("two_stems", request.two_stems))
    for field, stem in requested:
        if stem not in known:
            raise InvalidRequest(
                f"model {request.model!r}, variant {request.variant!r}, has no stem {shown(stem)}; "
                f"stems: {', '.join(known)}",
                field=field,
                details={"value": stem, "stems": list(known)},
            )


def requested_stems(request: SeparateRequest, sources: Sequence[str]) -> dict[str, list[int]]:
    """Return the indices of the model's sources that add up to each requested stem, by the stem's name."""
    if request.two_stems is not None:
        index = sources.index(request.two_stems)
        rest = [n for n in range(len(sources)) if n != index]
        return {request.two_stems: [index], f"no_{request.two_stems}": rest}
    return {stem: [sources.index(stem)] for stem in request.stems or sources}


class StemWriter:
    """Writes stems to disk, at the file's own sample rate, and of exactly its length.

    Args:
        context: of the run.
        mixture: the decoded file.
        stems: from `requested_stems`.
        channels: number of channels of each stem.
    """

    def __init__(
        self, context: RunContext, mixture: Mixture, stems: Mapping[str, Sequence[int]], channels: int
    ) -> None:
        self._mixture = mixture
        self._tracks = [
            _Track(name, sources, context.recording(channels), mixture) for name, sources in stems.items()
        ]

    def write(self, sources: Samples) -> None:
        """Append a block of all sources, ``[sources, frames, channels]``, at the rate of the mixture."""
        for track in self._tracks:
            track.write(sources)

    def output(self, request: SeparateRequest, notes: Sequence[str] = ()) -> Output:
        """Build the output of ``separate``; call it when all blocks are written."""
        for track in self._tracks:
            track.finish()
        result = SeparateResult(
            stems={track.name: f"{track.name}.{request.format}" for track in self._tracks},
            duration=self._mixture.duration,
            notes=[*notes, *self._notes()],
        )
        files = [
            AudioOutput(track.name, track.recording, self._mixture.file_rate, request.format)
            for track in self._tracks
        ]
        return Output(result, files, audio_seconds=self._mixture.duration)

    def _notes(self) -> Iterator[str]:
        if self._mixture.file_channels > 2:
            yield f"the file's {self._mixture.file_channels} channels were mixed down to two."
        for track in self._tracks:
            if track.recording.peak > FULL_SCALE:
                decibels = 20 * np.log10(track.recording.peak)
                yield f"{track.name} exceeded full scale, and was turned down by {decibels:.1f} dB."


class _Track:
    """Writes one stem to disk."""

    def __init__(self, name: str, sources: Sequence[int], recording: Recording, mixture: Mixture) -> None:
        self.name = name
        self.recording = recording
        self._sources = list(sources)
        self._frames = mixture.file_frames
        self._resampler = Resampler(recording.channels, mixture.rate, mixture.file_rate)

    def write(self, sources: Samples) -> None:
        self._append(self._resampler(sources[self._sources].sum(axis=0)))

    def finish(self) -> None:
        """Pad to the length of the file: resampling twice may lose frames; `_append` cuts added ones."""
        self._append(self._resampler.finish())
        missing = self._frames - self.recording.frames
        self._append(np.zeros((missing, self.recording.channels), np.float32))

    def _append(self, block: Samples) -> None:
        self.recording.append(block[: self._frames - self.recording.frames])
