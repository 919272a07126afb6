"""Music from text, and from a melody or a beginning, with Meta's MusicGen (Copet et al. 2023)."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from audiograph.errors import AudiographError, Canceled, InvalidAudio, InvalidRequest
from audiograph.schemas import GenerateMusicRequest, MusicResult, Request, TaskName
from deployments.models.base import (
    AudioOutput,
    Intake,
    LoadContext,
    Loaded,
    Model,
    Options,
    Output,
    RunContext,
    Samples,
    Ticket,
)
from deployments.models.kit.hugging_face import pretrained_folder
from deployments.models.kit.weights import by_policy
from deployments.models.musicgen.composer import WINDOW_FRAMES, Composer, Order
from deployments.models.musicgen.engine import MAX_TEXT_TOKENS, MusicEngine
from deployments.models.musicgen.melody import SAMPLE_RATE as MELODY_RATE
from deployments.models.musicgen.sampling import Sampling
from deployments.models.musicgen.tiny import build_checkpoint

STAGE = "composing"


class MusicGenOptions(Options):
    """Options of MusicGen."""

    max_duration: float = Field(
        300.0, gt=0, le=600, description="The longest music it makes, in seconds; from 30 s on in windows."
    )


@dataclass(frozen=True, slots=True)
class Commission:
    """A request that composing has begun on."""

    ticket: Ticket
    seed: int
    notes: list[str]


class MusicGen(Model[MusicEngine]):
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

    def check_request(self, request: Request, variant: str) -> None:
        """Refuse what is longer than the configuration allows."""
        assert isinstance(request, GenerateMusicRequest)
        if request.duration > self.options.max_duration:
            raise InvalidRequest(
                f"duration is {request.duration:g} s; here music has at most {self.options.max_duration:g} s "
                "(the option max_duration of the model)",
                field="duration",
            )

    def load(self, variant: str, context: LoadContext) -> Loaded[MusicEngine]:
        """Load the published checkpoint, or a tiny random one, as the policy says."""

        def pretrained() -> MusicEngine:
            folder = pretrained_folder(f"facebook/musicgen-{variant}", context.work_dir)
            return _engine(folder, variant, context.device)

        def tiny() -> MusicEngine:
            folder = build_checkpoint(
                context.work_dir / "tiny", melody="melody" in variant, stereo="stereo" in variant
            )
            return _engine(folder, variant, context.device)

        return by_policy(context, pretrained, tiny)

    def run_in_flight(self, engine: MusicEngine, intake: Intake) -> None:
        """Compose for all who come, a column of tokens for each of them in a step."""
        import torch

        composer = engine.composer(intake.seats)
        at_work: dict[int, Commission] = {}
        try:
            with torch.inference_mode():
                while True:
                    for ticket in intake.take():
                        _admit(engine, composer, ticket, at_work)
                    if not at_work:
                        return
                    for row, codes in composer.step().items():
                        _deliver(engine, at_work.pop(row), codes)
                    _report(composer, at_work)
        finally:
            composer.release()

    def check_engine(self, engine: MusicEngine) -> None:
        """One decoder step."""
        engine.check()


def _engine(folder: Path, variant: str, device: str) -> MusicEngine:
    import torch
    import transformers as hf

    family = "MusicgenMelody" if "melody" in variant else "Musicgen"
    model = getattr(hf, f"{family}ForConditionalGeneration").from_pretrained(
        folder, dtype=torch.bfloat16 if device == "cuda" else torch.float32
    )
    return MusicEngine(model.eval().to(device), hf.AutoTokenizer.from_pretrained(folder))


def _admit(engine: MusicEngine, composer: Composer, ticket: Ticket, at_work: dict[int, Commission]) -> None:
    """Give a request a row, or its ticket the reason why not."""
    request: GenerateMusicRequest = ticket.request
    try:
        ticket.context.progress(0.0, STAGE)
        order = _order(engine, request, ticket.context)
    except AudiographError as error:
        ticket.finish(error)
        return
    at_work[composer.begin(order)] = Commission(ticket, order.seed, list(_notes(engine, request)))


def _order(engine: MusicEngine, request: GenerateMusicRequest, context: RunContext) -> Order:
    melody, prompt = None, None
    if request.file and engine.follows_melody:
        melody, _ = context.audio(request.file, sample_rate=MELODY_RATE, mono=True)
    elif request.file:
        prompt = engine.encode(_beginning(engine, request, context))
    description = _description(request)
    return Order(
        frames=-(-_samples(engine, request) // engine.frame_samples),
        sampling=_sampling(request, guided=bool(description) or melody is not None),
        seed=secrets.randbits(31) if request.seed is None else request.seed,
        conditions=engine.conditions(description, melody),
        prompt=prompt,
    )


def _report(composer: Composer, at_work: dict[int, Commission]) -> None:
    """Tell every caller how far its music is; who has canceled is let go."""
    for row, commission in list(at_work.items()):
        try:
            commission.ticket.context.progress(composer.progress(row), STAGE)
        except Canceled as canceled:
            composer.drop(row)
            del at_work[row]
            commission.ticket.finish(canceled)


def _deliver(engine: MusicEngine, commission: Commission, codes: Any) -> None:
    """Turn the codes into exactly as much audio as was asked for."""
    request = commission.ticket.request
    samples = engine.decode(codes)[:, : _samples(engine, request)]
    duration = samples.shape[1] / engine.sample_rate
    result = MusicResult(
        duration=duration,
        sample_rate=engine.sample_rate,
        channels=engine.channels,
        seed=commission.seed,
        notes=commission.notes,
    )
    audio = AudioOutput("music", samples, engine.sample_rate, request.format)
    commission.ticket.finish(Output(result, [audio], audio_seconds=duration))


def _samples(engine: MusicEngine, request: GenerateMusicRequest) -> int:
    return round(request.duration * engine.sample_rate)


def _beginning(engine: MusicEngine, request: GenerateMusicRequest, context: RunContext) -> Samples:
    """The file to continue, ``[channels, frames]`` as the engine has them.

    Raises:
        InvalidRequest: it leaves nothing to add.
        InvalidAudio: it is too long to be continued.
    """
    assert request.file is not None
    samples, _ = context.audio(request.file, sample_rate=engine.sample_rate)
    seconds, most = samples.shape[1] / engine.sample_rate, WINDOW_FRAMES // engine.frame_rate
    if seconds >= request.duration:
        raise InvalidRequest(
            f"duration is {request.duration:g} s, and the file to continue already has {seconds:g} s: "
            "duration counts the whole recording, so ask for more",
            field="duration",
        )
    if seconds >= most:
        raise InvalidAudio(
            f"the file has {seconds:g} s; what shall be continued must be shorter than {most} s: cut it",
            field="file",
        )
    if len(samples) != engine.channels:
        samples = np.repeat(samples.mean(axis=0, keepdims=True), engine.channels, axis=0)
    return samples


def _description(request: GenerateMusicRequest) -> str:
    """The prompt, with tempo and key as the texts have them that MusicGen was trained on."""
    known = {"bpm": request.bpm, "key": request.key}
    parts = [request.prompt.strip(), *(f"{name}: {value}" for name, value in known.items() if value)]
    return ". ".join(filter(None, parts))


def _sampling(request: GenerateMusicRequest, *, guided: bool) -> Sampling:
    usual = Sampling()
    return Sampling(
        temperature=usual.temperature if request.temperature is None else request.temperature,
        top_k=usual.top_k if request.top_k is None else request.top_k,
        top_p=usual.top_p if request.top_p is None else request.top_p,
        guidance_scale=(request.guidance_scale or usual.guidance_scale) if guided else 1.0,
        do_sample=request.do_sample,
    )


def _notes(engine: MusicEngine, request: GenerateMusicRequest) -> Iterator[str]:
    if request.lyrics:
        yield "lyrics were ignored: MusicGen was not trained to sing."
    if request.time_signature:
        yield "time_signature was ignored: MusicGen was not trained on it."
    description = _description(request)
    if request.guidance_scale and not description and not (request.file and engine.follows_melody):
        yield "guidance_scale was ignored: there is nothing to be guided by."
    tokens = len(engine.text_tokens(description))
    if tokens > MAX_TEXT_TOKENS:
        yield f"The description has {tokens} tokens; only the first {MAX_TEXT_TOKENS} were used."
    if request.file and not engine.follows_melody:
        yield "The recording begins with the file, passed through the model's codec."
