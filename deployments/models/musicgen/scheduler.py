"""Continuous batching of MusicGen: each request is one sequence of the generator."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audiograph.errors import InvalidAudio, InvalidRequest
from audiograph.schemas import GenerateMusicRequest, MusicResult
from deployments.models.base import AudioOutput, Intake, Output, RunContext, Samples, Ticket
from deployments.models.kit.continuous import ContinuousScheduler
from deployments.models.musicgen.engine import MAX_TEXT_TOKENS, MusicEngine
from deployments.models.musicgen.generator import WINDOW_FRAMES, GenerationParams, Generator
from deployments.models.musicgen.melody import SAMPLE_RATE as MELODY_RATE
from deployments.models.musicgen.sampling import Sampling

if TYPE_CHECKING:
    from torch import Tensor

STAGE = "composing"


@dataclass(frozen=True, slots=True, eq=False)
class Admitted:
    """A request whose music is being generated."""

    ticket: Ticket[GenerateMusicRequest]
    row: int
    """Row of its sequence in the generator."""
    seed: int
    notes: list[str]


class Scheduler(ContinuousScheduler[GenerateMusicRequest, Admitted]):
    """Generates the music of all requests, one column of tokens of each in a step.

    Args:
        engine: of the variant.
        generator: with as many rows as the intake has capacity.
        intake: the source of requests.
    """

    def __init__(
        self, engine: MusicEngine, generator: Generator, intake: Intake[GenerateMusicRequest]
    ) -> None:
        super().__init__(intake)
        self._engine = engine
        self._generator = generator

    def admit(self, ticket: Ticket[GenerateMusicRequest]) -> Admitted:
        """Encode the request's text and file, and begin its sequence.

        Raises:
            Canceled: the job was canceled.
            NotFound: the file does not exist any more.
            InvalidAudio: the file cannot be decoded, or is too long to be continued.
            InvalidRequest: the file to continue is as long as the music.
        """
        request = ticket.request
        ticket.context.progress(0.0, STAGE)
        params = _params(self._engine, request, ticket.context)
        notes = list(_notes(self._engine, request))
        return Admitted(ticket, self._generator.begin(params), params.seed, notes)

    def step(self) -> None:
        """Generate one column of every sequence, and decode the complete ones."""
        by_row = {admitted.row: admitted for admitted in self.admitted}
        for row, codes in self._generator.step().items():
            with self.isolated(by_row[row]):
                self.finish(by_row[row], self._output(by_row[row], codes))

    def report(self, request: Admitted) -> None:
        """Report the fraction of the music that is generated."""
        request.ticket.context.progress(self._generator.progress(request.row), STAGE)

    def release(self, request: Admitted) -> None:
        """Free the row of the request's sequence."""
        self._generator.drop(request.row)

    def _output(self, admitted: Admitted, codes: "Tensor") -> Output:
        """Decode codes ``[codebooks, frames]`` to audio of exactly the requested duration."""
        request = admitted.ticket.request
        samples = self._engine.decode(codes)[:, : _sample_count(self._engine, request)]
        duration = samples.shape[1] / self._engine.sample_rate
        result = MusicResult(
            duration=duration,
            sample_rate=self._engine.sample_rate,
            channels=self._engine.channels,
            seed=admitted.seed,
            notes=admitted.notes,
        )
        audio = AudioOutput("music", samples, self._engine.sample_rate, request.format)
        return Output(result, [audio], audio_seconds=duration)


def _params(engine: MusicEngine, request: GenerateMusicRequest, context: RunContext) -> GenerationParams:
    melody, prompt = None, None
    if request.file and engine.follows_melody:
        melody, _ = context.audio(request.file, sample_rate=MELODY_RATE, mono=True)
    elif request.file:
        prompt = engine.encode(_beginning(engine, request, context))
    description = _description(request)
    return GenerationParams(
        frames=-(-_sample_count(engine, request) // engine.frame_samples),
        sampling=_sampling(request, guided=bool(description) or melody is not None),
        seed=secrets.randbits(31) if request.seed is None else request.seed,
        conditions=engine.conditions(description, melody),
        prompt=prompt,
    )


def _sample_count(engine: MusicEngine, request: GenerateMusicRequest) -> int:
    return round(request.duration * engine.sample_rate)


def _beginning(engine: MusicEngine, request: GenerateMusicRequest, context: RunContext) -> Samples:
    """Decode the file to continue to ``[channels, frames]``, with the engine's channels and sample rate."""
    assert request.file is not None
    samples, _ = context.audio(request.file, sample_rate=engine.sample_rate)
    seconds, max_seconds = samples.shape[1] / engine.sample_rate, WINDOW_FRAMES // engine.frame_rate
    if seconds >= request.duration:
        raise InvalidRequest(
            f"duration is {request.duration:g} s, and the file to continue already has {seconds:g} s: "
            "duration counts the whole recording, so ask for more",
            field="duration",
        )
    if seconds >= max_seconds:
        raise InvalidAudio(
            f"the file has {seconds:g} s; a file to continue must be shorter than {max_seconds} s: cut it",
            field="file",
        )
    if len(samples) != engine.channels:
        samples = np.repeat(samples.mean(axis=0, keepdims=True), engine.channels, axis=0)
    return samples


def _description(request: GenerateMusicRequest) -> str:
    """Return the prompt with tempo and key, in the form of MusicGen's training texts."""
    known = {"bpm": request.bpm, "key": request.key}
    parts = [request.prompt.strip(), *(f"{name}: {value}" for name, value in known.items() if value)]
    return ". ".join(filter(None, parts))


def _sampling(request: GenerateMusicRequest, *, guided: bool) -> Sampling:
    default = Sampling()
    return Sampling(
        temperature=default.temperature if request.temperature is None else request.temperature,
        top_k=default.top_k if request.top_k is None else request.top_k,
        top_p=default.top_p if request.top_p is None else request.top_p,
        guidance_scale=(request.guidance_scale or default.guidance_scale) if guided else 1.0,
        do_sample=request.do_sample,
    )


def _notes(engine: MusicEngine, request: GenerateMusicRequest) -> Iterator[str]:
    if request.lyrics:
        yield "lyrics were ignored: MusicGen was not trained to sing."
    if request.time_signature:
        yield "time_signature was ignored: MusicGen was not trained on it."
    description = _description(request)
    if request.guidance_scale and not description and not (request.file and engine.follows_melody):
        yield "guidance_scale was ignored: there is no description or melody to be guided by."
    tokens = len(engine.text_tokens(description))
    if tokens > MAX_TEXT_TOKENS:
        yield f"The description has {tokens} tokens; only the first {MAX_TEXT_TOKENS} were used."
    if request.file and not engine.follows_melody:
        yield "The recording begins with the file, passed through the model's codec."
