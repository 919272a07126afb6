"""Source separation with Demucs: songs into vocals, drums, bass and other."""

import importlib.util
import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from audiograph.errors import InvalidRequest, ModelUnavailable
from audiograph.schemas import SeparateRequest, TaskName
from deployments.models.base import LoadContext, Model, Options, Output, RunContext
from deployments.models.demucs.passes import Settings
from deployments.models.demucs.separator import separate
from deployments.models.demucs.tiny import build_repository
from deployments.models.demucs.weights import checkpoints, repository
from deployments.models.kit.separation import StemWriter, check_stems, decode_mixture, requested_stems
from deployments.models.weights.published import Published

if TYPE_CHECKING:
    from demucs.apply import BagOfModels

FOUR_STEMS = ("drums", "bass", "other", "vocals")
SIX_STEMS = (*FOUR_STEMS, "guitar", "piano")
CHANNELS = 2

MAX_SEGMENTS = {"htdemucs": 7.8, "htdemucs_ft": 7.8, "htdemucs_6s": 7.8}
"""Seconds, by variant: a transformer cannot separate longer segments than it was trained on."""
MIN_SEGMENT = 0.5
"""Seconds."""
MAX_OVERLAP = 0.99
QUANTIZED = frozenset({"mdx_q", "mdx_extra_q"})

BATCH_SIZES = {"cpu": 1, "cuda": 8}
"""Default number of chunks in a batch, by device. One chunk keeps a processor busy; more no longer fit its
caches and are slightly slower."""
BATCHES = {"cpu": 2, "cuda": 1}
"""Default number of batches at the same time, by device, but at most one per processor. With published
weights, each takes 0.6 GB (htdemucs) or 2.6 GB (mdx) of main memory."""

DECODED = 0.02
"""Progress when the file is decoded."""
SEPARATED = 0.98
"""Progress when all chunks are separated."""


class DemucsOptions(Options):
    """Options of the model in the configuration."""

    batch_size: int | None = Field(None, ge=1, le=256)
    """Chunks in a batch; the default depends on the device."""
    batches: int | None = Field(None, ge=1, le=16)
    """Batches at the same time, sharing the processors; the default depends on the device."""


class Demucs(Model["BagOfModels", SeparateRequest]):
    """``separate`` with Demucs; the engine is a bag of models on its device.

    Stems are stereo, like those of the demucs command, at the file's sample rate and of exactly its length.
    Files with more than two channels are first mixed down to stereo. A stem that exceeds full scale is scaled
    down. The random shifts are equal in every run, so that equal requests produce equal stems.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("separate",)
    variants = ("htdemucs", "htdemucs_ft", "htdemucs_6s", "mdx", "mdx_extra", "mdx_q", "mdx_extra_q")
    default_variant = "htdemucs"
    options_class = DemucsOptions

    options: DemucsOptions

    @classmethod
    def missing(cls) -> str | None:
        """Return a sentence about the package demucs if it is not installed."""
        if importlib.util.find_spec("demucs") is None:
            return "The package demucs is not installed."
        return None

    def check_request(self, request: SeparateRequest, variant: str) -> None:
        """Refuse unknown stems, unsuitable segments and overlaps, and quantized variants without diffq.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
            ModelUnavailable: the variant needs a package that is not installed.
        """
        _check_quantized(variant)
        check_stems(request, SIX_STEMS if variant == "htdemucs_6s" else FOUR_STEMS)
        _check_segment(request.segment, variant)
        if request.overlap > MAX_OVERLAP:
            raise InvalidRequest(
                f"overlap is {request.overlap:g}: it must be at most {MAX_OVERLAP:g}, at which each part of "
                "the file is separated 100 times",
                field="overlap",
            )

    def published(self, variant: str) -> Sequence[Published]:
        """List the checkpoints of a variant's bag."""
        return () if self.missing() else checkpoints(variant)

    def load(self, variant: str, context: LoadContext) -> "BagOfModels":
        """Load the published checkpoints, or tiny random ones.

        Raises:
            ModelUnavailable: the variant needs a package that is not installed.
        """
        _check_quantized(variant)
        if context.weights:
            with repository(variant, context.weights) as folder:
                return _load(variant, folder, context.device)
        return _load(variant, build_repository(variant, context.work_dir / "tiny"), context.device)

    def run(self, engine: "BagOfModels", request: SeparateRequest, context: RunContext) -> Output:
        """Separate a file of any length, chunk by chunk, from disk to disk.

        Raises:
            NotFound, InvalidAudio: like `RunContext.stream`.
        """
        mixture = decode_mixture(context, request.file, engine.samplerate)
        stems = requested_stems(request, engine.sources)
        writer = StemWriter(context, mixture, stems, CHANNELS)
        settings = Settings(
            shifts=request.shifts,
            overlap=request.overlap,
            segment=request.segment,
            batch_size=self.options.batch_size or BATCH_SIZES[context.device],
            batches=self.options.batches or _batches(context.device),
        )
        needed = {source for sources in stems.values() for source in sources}
        context.progress(DECODED, "separating")
        with closing(separate(engine, mixture.recording, settings, needed, random.Random(0))) as blocks:
            for block in blocks:
                writer.write(block.sources)
                context.progress(DECODED + (SEPARATED - DECODED) * block.progress, "separating")
        return writer.output(request)

    def check_engine(self, engine: "BagOfModels") -> None:
        """Test that all weights are finite."""
        if not all(parameter.isfinite().all() for parameter in engine.parameters()):
            raise RuntimeError("some weights are not finite")


def _load(variant: str, folder: Path, device: str) -> "BagOfModels":
    """Load a bag and keep it on its device; `demucs.apply.apply_model` moves the models for every file."""
    from demucs.pretrained import get_model

    return get_model(variant, folder).to(device).eval()


def _batches(device: str) -> int:
    import torch

    return min(BATCHES[device], torch.get_num_threads())


def _check_quantized(variant: str) -> None:
    if variant in QUANTIZED and importlib.util.find_spec("diffq") is None:
        raise ModelUnavailable(
            f"variant {variant!r} has quantized weights, and the package diffq that reads them is not "
            "installed. Install it with `pip install diffq` if its licence suits you (CC BY-NC 4.0: no "
            f"commercial use), or use {variant.removesuffix('_q')!r}, the same model without quantization.",
            field="variant",
        )


def _check_segment(segment: float | None, variant: str) -> None:
    maximum = MAX_SEGMENTS.get(variant)
    if segment is None:
        return
    if segment < MIN_SEGMENT:
        raise InvalidRequest(
            f"segment is {segment:g} s: it must be at least {MIN_SEGMENT:g} s", field="segment"
        )
    if maximum is not None and segment > maximum:
        raise InvalidRequest(
            f"segment is {segment:g} s: variant {variant!r} is a transformer and accepts at most the "
            f"{maximum:g} s that it was trained on; the mdx variants accept more",
            field="segment",
        )
