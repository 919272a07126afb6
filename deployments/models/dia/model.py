"""Dialogues of two speakers in one recording, by Nari Labs' Dia 1.6B (2025) in transformers."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from audiograph.errors import InvalidRequest, naming_field
from audiograph.schemas import DialogueRequest, TaskName, Turn
from deployments.models.base import (
    LoadContext,
    Model,
    Output,
    RunContext,
    Samples,
    VoiceSample,
)
from deployments.models.dia.engine import DiaEngine, Sampling
from deployments.models.dia.script import (
    check_length,
    check_turns,
    estimated_times,
    has_control_tokens,
    lines_of,
    named_voices,
    plain,
    script,
)
from deployments.models.dia.tiny import CODEC, build_checkpoint
from deployments.models.kit.dialogue import recorded_dialogue_output
from deployments.models.kit.parameters import Parameters
from deployments.models.kit.speaking import STAGE
from deployments.models.kit.speech_model import SpeechModel
from deployments.models.kit.texts import turn_field
from deployments.models.weights.published import Published, PublishedRepository

WEIGHTS = PublishedRepository("nari-labs/Dia-1.6B-0626", "Apache-2.0")
CODEC_WEIGHTS = PublishedRepository("descript/dac_44khz", "MIT")

MAX_STEPS = 3072
"""Decoder positions, steps of 1/86 s, which the recordings of the voices and the dialogue share."""
MIN_STEPS = 17
"""One step with sound, and 16 without; see `Sampling`."""


class DiaParameters(Parameters):
    """The ``parameters`` of a request; see `Sampling`."""

    max_new_tokens: int = Field(256, ge=MIN_STEPS, le=MAX_STEPS)
    """Maximum number of tokens, of 1/86 s each."""
    temperature: float = Field(1.8, ge=0, le=10)
    """Sampling temperature; less than 1 is raised to 1."""
    top_p: float = Field(0.9, ge=0, le=1)
    """Sample from the likeliest tokens with this total probability."""
    top_k: int = Field(45, ge=5, le=1024)
    """Sample from this many likeliest tokens."""
    guidance_scale: float = Field(3.0, ge=1, le=100)
    """Classifier-free guidance by the text; 1 for none."""


class Dia(SpeechModel[DiaEngine, DialogueRequest], Model[DiaEngine, DialogueRequest]):
    """``dialogue`` of two speakers, in English; mono at 44.1 kHz.

    The named voices are its speakers ``[S1]`` and ``[S2]``, in the order of their first turns. A turn without
    a voice has the other speaker than the turn before it. The model chooses the voice of a speaker without a
    recording.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("dialogue",)
    unsupported_tasks: ClassVar[Mapping[TaskName, str]] = {
        "speak": "Dia was trained on dialogues of two; send it a dialogue of at least two turns"
    }
    variants = ("1.6b-0626",)
    default_variant = "1.6b-0626"
    checkpoint = WEIGHTS.name
    clones_voices = True
    needs_transcripts = True

    def check_request(self, request: DialogueRequest, variant: str) -> None:
        """Refuse a third speaker, texts without words or beyond the encoder's input, and wrong parameters.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
        """
        super().check_request(request, variant)
        check_turns(request.turns)
        check_length(script(lines_of(request.turns)))
        DiaParameters.checked(request.parameters, "dia")

    def can_speak(self, text: str) -> bool:
        """Return whether a text has words besides Dia's control tokens."""
        return super().can_speak(plain(text))

    def check_voices(self, request: DialogueRequest, transcripts: Mapping[str, str | None]) -> None:
        """Require a transcript for every recorded voice, and refuse transcripts that are too long.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
        """
        known = {voice: plain(transcript or "") for voice, transcript in transcripts.items()}
        super().check_voices(request, known)
        prompt = [known[voice] for voice in named_voices(request.turns)]
        check_length(script([*enumerate(prompt), *lines_of(request.turns)]))

    def published(self, variant: str) -> Sequence[Published]:
        """List the checkpoint and its codec."""
        return WEIGHTS, CODEC_WEIGHTS

    def load(self, variant: str, context: LoadContext) -> DiaEngine:
        """Load the published checkpoint and its codec, or a tiny random one."""
        if context.weights:
            weights, codec = context.weights
        else:
            weights = build_checkpoint(context.work_dir / "tiny")
            codec = weights / CODEC
        return DiaEngine.from_folders(weights, codec, context.device)

    def run(self, engine: DiaEngine, request: DialogueRequest, context: RunContext) -> Output:
        """Speak all turns in one recording, which continues the recordings of the voices.

        Raises:
            NotFound: a recorded voice does not exist any more.
            InvalidRequest: a voice has no transcript, the transcripts leave no room for the text, or the
                recordings leave none for the dialogue.
        """
        context.progress(0.0, STAGE)
        voices, lines = named_voices(request.turns), lines_of(request.turns)
        samples = [_sample(voice, request, engine.sample_rate, context) for voice in voices]
        text = script([*enumerate(plain(sample.transcript or "") for sample in samples), *lines])
        check_length(text)
        prompt = _prompt(samples)
        sampling, notes = _sampling(request.parameters, engine.count_steps(prompt))
        speech = engine.speak(
            text,
            prompt,
            sampling,
            seed=request.seed,
            report=lambda fraction: context.progress(fraction, STAGE),
        )
        duration = len(speech.samples) / engine.sample_rate
        if not speech.complete:
            notes.append(_cut_off_note(sampling.max_new_tokens, duration))
        turns = estimated_times(lines, [sample.name for sample in samples], duration)
        notes = [*_notes(request.turns), *notes]
        return recorded_dialogue_output(speech.samples, turns, engine.sample_rate, request.format, notes)

    def check_engine(self, engine: DiaEngine) -> None:
        """Run one pass over a word."""
        engine.check()


def _prompt(samples: Iterable[VoiceSample]) -> Samples:
    """Join the recordings of all speakers to one, mono ``[frames]``; empty if no voice is named."""
    return np.concatenate([np.zeros(0, np.float32), *(sample.samples for sample in samples)])


def _sample(voice: str, request: DialogueRequest, sample_rate: int, context: RunContext) -> VoiceSample:
    """Load a voice with its transcript; an error names the first turn that has it."""
    index = [turn.voice for turn in request.turns].index(voice)
    with naming_field(turn_field(request, index, "voice")):
        sample = context.voice(voice, sample_rate=sample_rate)
        if not plain(sample.transcript or ""):
            raise InvalidRequest(
                f"voice {sample.name!r} has no transcript, which Dia needs to clone it: store the voice "
                "again with its transcript",
                field="voice",
            )
    return sample


def _sampling(parameters: Mapping[str, Any], prompt_steps: int) -> tuple[Sampling, list[str]]:
    """Return the parameters within the model's limits, and notes about changed ones.

    Raises:
        InvalidRequest: the prompt leaves no room for a dialogue.
    """
    values = DiaParameters.checked(parameters, "dia").model_dump()
    notes = []
    if values["temperature"] < 1:
        notes.append(f"temperature was raised from {values['temperature']:g} to 1, the minimum of Dia.")
        values["temperature"] = 1.0
    room = MAX_STEPS - prompt_steps
    if room < MIN_STEPS:
        raise InvalidRequest(
            f"the recordings of the voices take {prompt_steps} tokens of 1/86 s; Dia has room for "
            f"{MAX_STEPS}, the dialogue included: name shorter ones, of 5 to 10 s, or only one",
            field="turns",
            details={"value": prompt_steps, "maximum": MAX_STEPS - MIN_STEPS},
        )
    if values["max_new_tokens"] > room:
        notes.append(
            f"max_new_tokens was lowered from {values['max_new_tokens']} to {room}: the recordings of the "
            f"voices take {prompt_steps} of {MAX_STEPS}."
        )
        values["max_new_tokens"] = room
    return Sampling(**values), notes


def _notes(turns: Iterable[Turn]) -> list[str]:
    notes = ["The times of the turns are estimated from the lengths of their texts: Dia returns none."]
    if any(has_control_tokens(turn.text) for turn in turns):
        notes.append(
            "Tags such as [S1] were left out of the texts: the voices of the turns select the speakers."
        )
    return notes


def _cut_off_note(max_new_tokens: int, duration: float) -> str:
    return f"The end may be cut off: max_new_tokens ({max_new_tokens}) was reached after {duration:.1f} s."
