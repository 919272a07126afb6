"""Speech and dialogue with Resemble AI's Chatterbox (2025): English, in the voice of any recording."""

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from audiograph.errors import InvalidRequest
from audiograph.schemas import TaskName
from deployments.models.base import LoadContext, Model, Output, RunContext
from deployments.models.chatterbox.engine import ChatterboxEngine, load_engine
from deployments.models.chatterbox.parameters import ChatterboxParameters
from deployments.models.chatterbox.tiny import build_checkpoint
from deployments.models.kit.dialogue import progress_slices, spoken_output, spoken_parts
from deployments.models.kit.seeding import seeded
from deployments.models.kit.speaking import (
    STAGE,
    Speaker,
    cut_off_notes,
    load_voice,
    speakers_of,
    turns_of,
)
from deployments.models.kit.speech_model import SpeechModel, SpeechRequest
from deployments.models.kit.texts import texts_of
from deployments.models.weights.published import Published, PublishedRepository

WEIGHTS = PublishedRepository(
    "ResembleAI/chatterbox",
    "MIT",
    ("ve.safetensors", "t3_cfg.safetensors", "s3gen.safetensors", "tokenizer.json", "conds.pt"),
)
"""The repository has other models too. The last file is a pickle, of which only tensors are loaded."""

MAX_CHARACTERS = 1000
"""In one text: more than can be spoken in the 40 s that the model generates at most."""


class Chatterbox(SpeechModel[ChatterboxEngine, SpeechRequest], Model[ChatterboxEngine, SpeechRequest]):
    """``speak`` and ``dialogue``, in English, with recorded voices; mono at 24 kHz, with a watermark.

    The turns of a dialogue are generated one after the other. Turns that name no voice have the one that
    comes with the checkpoint.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("english",)
    default_variant = "english"
    checkpoint = WEIGHTS.name
    clones_voices = True

    @classmethod
    def missing(cls) -> str | None:
        """Return a sentence about the package, which pins versions and so needs its own environment."""
        if importlib.util.find_spec("chatterbox") is None:
            return (
                "The package chatterbox-tts is not installed; set `environment: chatterbox` in the model's "
                "entry and run `make envs`."
            )
        return None

    def check_request(self, request: SpeechRequest, variant: str) -> None:
        """Refuse parameters that are unknown or out of range, and texts that are unspeakable or too long.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
        """
        super().check_request(request, variant)
        ChatterboxParameters.checked(request.parameters, "chatterbox")
        for field, text in texts_of(request).items():
            _check_length(text, field)

    def published(self, variant: str) -> Sequence[Published]:
        """List the checkpoint."""
        return (WEIGHTS,)

    def load(self, variant: str, context: LoadContext) -> ChatterboxEngine:
        """Load the published checkpoint, or a tiny random one."""
        if context.weights:
            return load_engine(context.weights[0], context.device)
        return load_engine(build_checkpoint(context.work_dir / "tiny"), context.device, tiny=True)

    def run(self, engine: ChatterboxEngine, request: SpeechRequest, context: RunContext) -> Output:
        """Speak a text, or one turn after the other.

        Raises:
            NotFound: a recorded voice does not exist any more.
            InvalidAudio: a recorded voice is too short or too long.
        """
        context.progress(0.0, STAGE)
        given = ChatterboxParameters.checked(request.parameters, "chatterbox")
        parameters, notes = given.supported()
        turns = turns_of(request)

        def clone(voice: str) -> Speaker[Any]:
            sample = load_voice(voice, "Chatterbox", engine.sample_rate, context)
            return Speaker(sample.name, engine.encode_voice(sample.samples))

        speakers = speakers_of(request, engine.default_voice, clone)
        with seeded(request.seed, engine.device):
            speeches = [
                engine.speak(turn.text, speakers[turn.voice].reference, parameters, progress.report)
                for turn, progress in zip(turns, progress_slices(context, len(turns)), strict=True)
            ]
        notes += _watermark_notes(parameters, has_watermark=engine.has_watermark)
        notes += cut_off_notes(request, speeches, parameters.max_new_tokens)
        return spoken_output(request, spoken_parts(turns, speakers, speeches), engine.sample_rate, notes)

    def check_engine(self, engine: ChatterboxEngine) -> None:
        """Run one pass of the language model."""
        engine.check()


def _watermark_notes(parameters: ChatterboxParameters, *, has_watermark: bool) -> Iterator[str]:
    if parameters.disable_watermark:
        yield "The audio has no watermark: disable_watermark is set."
    elif not has_watermark:
        yield (
            "The audio has NO watermark: it is unavailable on this server, where the package resemble-perth "
            "lacks pkg_resources (setuptools older than 81); `make envs` installs both."
        )


def _check_length(text: str, field: str) -> None:
    if len(text) > MAX_CHARACTERS:
        raise InvalidRequest(
            f"{field} has {len(text)} characters; Chatterbox speaks at most {MAX_CHARACTERS} at a time: "
            "split it into several turns or requests",
            field=field,
            details={"value": len(text), "maximum": MAX_CHARACTERS},
        )
