"""Music from text, and from a melody or a beginning, with Meta's MusicGen (Copet et al. 2023)."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from audiograph.errors import InvalidRequest
from audiograph.schemas import GenerateMusicRequest, TaskName
from deployments.models.base import ContinuousModel, Intake, LoadContext, Options
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.scheduler import Scheduler
from deployments.models.musicgen.tiny import build_checkpoint
from deployments.models.weights.published import Published, PublishedRepository


class MusicGenOptions(Options):
    """Options of MusicGen."""

    max_duration: float = Field(300.0, gt=0, le=600)
    """Maximum duration of music in seconds; beyond 30 s it has windows."""


class MusicGen(ContinuousModel[MusicEngine, GenerateMusicRequest]):
    """``generate_music``; requests join and leave a running batch between its steps of 1/50 s of music.

    A ``file`` is a melody to follow for the melody variants, and a beginning to continue for the others.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("generate_music",)
    variants = (
        "small",
        "medium",
        "large",
        "melody",
        "melody-large",
        "stereo-small",
        "stereo-medium",
        "stereo-large",
        "stereo-melody",
        "stereo-melody-large",
    )
    default_variant = "small"
    options_class = MusicGenOptions

    options: MusicGenOptions

    def check_request(self, request: GenerateMusicRequest, variant: str) -> None:
        """Refuse a duration beyond the option ``max_duration``.

        Raises:
            InvalidRequest: with the duration and its maximum.
        """
        if request.duration > self.options.max_duration:
            raise InvalidRequest(
                f"duration is {request.duration:g} s; here music has at most {self.options.max_duration:g} s "
                "(the option max_duration of the model)",
                field="duration",
            )

    def published(self, variant: str) -> Sequence[Published]:
        """List the checkpoint of a variant."""
        return (PublishedRepository(f"facebook/musicgen-{variant}", "CC-BY-NC-4.0"),)

    def load(self, variant: str, context: LoadContext) -> MusicEngine:
        """Load the published checkpoint, or a tiny random one."""
        if context.weights:
            (folder,) = context.weights
        else:
            folder = build_checkpoint(
                context.work_dir / "tiny", melody="melody" in variant, stereo="stereo" in variant
            )
        return _engine(folder, variant, context.device)

    def run_continuous(self, engine: MusicEngine, intake: Intake[GenerateMusicRequest]) -> None:
        """Generate the music of all requests, one column of tokens of each in a step."""
        import torch

        generator = engine.generator(intake.capacity)
        try:
            with torch.inference_mode():
                Scheduler(engine, generator, intake).run()
        finally:
            generator.release()

    def check_engine(self, engine: MusicEngine) -> None:
        """Run one step of the decoder."""
        engine.check()


def _engine(folder: Path, variant: str, device: str) -> MusicEngine:
    import torch
    import transformers as hf

    family = "MusicgenMelody" if "melody" in variant else "Musicgen"
    model = getattr(hf, f"{family}ForConditionalGeneration").from_pretrained(
        folder, dtype=torch.bfloat16 if device == "cuda" else torch.float32
    )
    return MusicEngine(model.eval().to(device), hf.AutoTokenizer.from_pretrained(folder))
