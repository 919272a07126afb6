"""Source separation with Demucs: songs into vocals, drums, bass and other."""

import importlib.util
import random
from contextlib import closing
from typing import Any, ClassVar

from pydantic import Field

from audiograph.errors import InvalidRequest, ModelUnavailable
from audiograph.schemas import Request, SeparateRequest, TaskName
from deployments.models.base import LoadContext, Loaded, Model, Options, Output, RunContext
from deployments.models.demucs.passes import Settings
from deployments.models.demucs.separator import separate
from deployments.models.demucs.tiny import build_repository
from deployments.models.demucs.weights import pretrained_repository
from deployments.models.kit.separation import StemWriter, check_stems, decode_mixture, stems_asked
from deployments.models.kit.weights import by_policy

FOUR_STEMS = ("drums", "bass", "other", "vocals")
SIX_STEMS = (*FOUR_STEMS, "guitar", "piano")
CHANNELS = 2

LONGEST_SEGMENTS = {"htdemucs": 7.8, "htdemucs_ft": 7.8, "htdemucs_6s": 7.8}
"""Seconds: a transformer hears no more at a time than it was trained on."""
SHORTEST_SEGMENT = 0.5
MOST_OVERLAP = 0.99
QUANTIZED = frozenset({"mdx_q", "mdx_extra_q"})

BATCH_SIZES = {"cpu": 1, "cuda": 8}
"""Chunks in a batch, by device, unless the options say otherwise. A processor is busy with one, and somewhat
slower with more, which no longer fit its caches."""
BATCHES = {"cpu": 2, "cuda": 1}
"""Batches at a time, likewise, but no more than there are processors. On main memory, each of a model of the
published size takes 0.6 GB (htdemucs) or 2.6 GB (mdx)."""

DECODED, SEPARATED = 0.02, 0.98
"""Fractions of the whole work."""


class DemucsOptions(Options):
    """What the configuration may set."""

    batch_size: int | None = Field(None, ge=1, le=256, description="Chunks in a batch; by device if null.")
    batches: int | None = Field(
        None, ge=1, le=16, description="Batches at a time, which share the processors; by device if null."
    )


class Demucs(Model[Any]):
    """``separate`` with Demucs; the engine is a `demucs.apply.BagOfModels`, on its device.

    Stems are stereo, like those of demucs' own command, at the file's sample rate and of exactly its length.
    Of more than two channels a stereo downmix is separated. One that passes full scale is turned down. The
    random shifts are the same in every run, so the same request gives the same stems.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("separate",)
    variants = ("htdemucs", "htdemucs_ft", "htdemucs_6s", "mdx", "mdx_extra", "mdx_q", "mdx_extra_q")
    default_variant = "htdemucs"
    options_class = DemucsOptions

    @classmethod
    def missing(cls) -> str | None:
        """The package demucs, if it is not installed."""
        if importlib.util.find_spec("demucs") is None:
            return "The package demucs is not installed."
        return None

    def check_request(self, request: Request, variant: str) -> None:
        """Refuse unknown stems, segments beyond what a variant was trained on, and variants without diffq.

        Raises:
            InvalidRequest: with the field, the value and what would be right.
            ModelUnavailable: the variant needs a package that is not installed.
        """
        assert isinstance(request, SeparateRequest)
        _check_quantized(variant)
        check_stems(request, SIX_STEMS if variant == "htdemucs_6s" else FOUR_STEMS)
        _check_segment(request.segment, variant)
        if request.overlap > MOST_OVERLAP:
            raise InvalidRequest(
                f"overlap is {request.overlap:g}: at most {MOST_OVERLAP:g}, where all is heard 100 times",
                field="overlap",
            )

    def load(self, variant: str, context: LoadContext) -> Loaded[Any]:
        """Load the published checkpoints, or tiny random ones, as the policy says.

        Raises:
            ModelUnavailable: the variant needs a package that is not installed.
            WeightsMissing: the policy is ``pretrained`` and the checkpoints are neither here nor to be had.
        """
        _check_quantized(variant)
        return by_policy(
            context,
            lambda: _load(variant, pretrained_repository(variant, context.work_dir), context.device),
            lambda: _load(variant, build_repository(variant, context.work_dir / "tiny"), context.device),
        )

    def run(self, engine: Any, request: SeparateRequest, context: RunContext) -> Output:
        """Separate a file of any length, chunk by chunk, from disk to disk."""
        assert isinstance(self.options, DemucsOptions)
        mixture = decode_mixture(context, request.file, engine.samplerate)
        stems = stems_asked(request, engine.sources)
        writer = StemWriter(context, mixture, stems, CHANNELS)
        settings = Settings(
            shifts=request.shifts,
            overlap=request.overlap,
            segment=request.segment,
            batch_size=self.options.batch_size or BATCH_SIZES[context.device],
            batches=self.options.batches or _batches(context.device),
        )
        wanted = {source for sources in stems.values() for source in sources}
        context.progress(DECODED, "separating")
        with closing(separate(engine, mixture.recording, settings, wanted, random.Random(0))) as parts:
            for part in parts:
                writer.write(part.sources)
                context.progress(DECODED + (SEPARATED - DECODED) * part.progress, "separating")
        return writer.output(request)

    def check_engine(self, engine: Any) -> None:
        """Every weight must still be a number."""
        if not all(parameter.isfinite().all() for parameter in engine.parameters()):
            raise RuntimeError("some weights are not finite")


def _load(variant: str, repository: Any, device: str) -> Any:
    """Unlike `demucs.apply.apply_model`, which moves each model there and back for every file."""
    from demucs.pretrained import get_model

    return get_model(variant, repository).to(device).eval()


def _batches(device: str) -> int:
    import torch

    return min(BATCHES[device], torch.get_num_threads())


def _check_quantized(variant: str) -> None:
    if variant in QUANTIZED and importlib.util.find_spec("diffq") is None:
        raise ModelUnavailable(
            f"variant {variant!r} has quantized weights, and the package diffq that reads them is not "
            "installed. Install it with `pip install diffq` if its licence suits you (CC BY-NC 4.0: no "
            f"commercial use), or take {variant.removesuffix('_q')!r}, which is the same model unquantized.",
            field="variant",
        )


def _check_segment(segment: float | None, variant: str) -> None:
    longest = LONGEST_SEGMENTS.get(variant)
    if segment is None:
        return
    if segment < SHORTEST_SEGMENT:
        raise InvalidRequest(
            f"segment is {segment:g} s: at least {SHORTEST_SEGMENT:g} s are needed", field="segment"
        )
    if longest is not None and segment > longest:
        raise InvalidRequest(
            f"segment is {segment:g} s: variant {variant!r} is a transformer, and takes no more than the "
            f"{longest:g} s that it was trained on; the mdx variants take more",
            field="segment",
        )
