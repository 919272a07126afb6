"""Dialogues of two speakers in one recording, with Nari Labs' Dia 1.6B (2025) as transformers has it."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, DialogueResult, Request, TaskName, Turn
from deployments.models.base import (
    AudioOutput,
    LoadContext,
    Loaded,
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
    has_signs,
    lines_of,
    named_voices,
    plain,
    script,
)
from deployments.models.dia.tiny import CODEC, build_checkpoint
from deployments.models.kit.dialogue import dialogue_files
from deployments.models.kit.hugging_face import pretrained_folder
from deployments.models.kit.parameters import Parameters
from deployments.models.kit.weights import by_policy

STAGE = "speaking"
WEIGHTS_REPOSITORY = "nari-labs/Dia-1.6B-0626"
CODEC_REPOSITORY = "descript/dac_44khz"

MAX_STEPS = 3072
"""Of 1/86 s, which the decoder has room for: the recordings of the voices, and the dialogue."""
LEAST_STEPS = 17
"""The last 16 make no sound; see `Sampling`."""


class DiaParameters(Parameters):
    """How tokens are drawn, see `Sampling`."""

    max_new_tokens: int = Field(256, ge=LEAST_STEPS, le=MAX_STEPS)
    temperature: float = Field(1.8, ge=0, le=10)
    top_p: float = Field(0.9, ge=0, le=1)
    top_k: int = Field(45, ge=5, le=1024)
    guidance_scale: float = Field(3.0, ge=1, le=100)


class Dia(Model[DiaEngine]):
    """``dialogue`` of two speakers, in English; mono at 44.1 kHz.

    The voices named are its speakers ``[S1]`` and ``[S2]``, in the order in which they first appear. Turns
    that name none take turns with those that do, and a speaker without a voice sounds as it comes. There is
    no ``speak``: Dia was trained on dialogues.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("dialogue",)
    reasons_not_to: ClassVar[Mapping[TaskName, str]] = {
        "speak": "Dia was trained on dialogues of two; send it a dialogue of at least two turns"
    }
    variants = ("1.6b-0626",)
    default_variant = "1.6b-0626"
    checkpoint = WEIGHTS_REPOSITORY
    clones_voices = True
    needs_transcripts = True

    def check_request(self, request: Request, variant: str) -> None:
        """Refuse what is no dialogue of two, more text than Dia reads, and parameters out of range.

        Raises:
            InvalidRequest: naming the field, its value and what would be right.
        """
        assert isinstance(request, DialogueRequest)
        check_turns(request.turns)
        check_length(script(lines_of(request.turns)))
        DiaParameters.checked(request.parameters, "dia")

    def check_voices(self, request: Request, transcripts: Mapping[str, str | None]) -> None:
        """Refuse voices of which it is not known what they say, or which say too much.

        Raises:
            InvalidRequest: naming the field, its value and what would be right.
        """
        assert isinstance(request, DialogueRequest)
        said = {voice: plain(words or "") for voice, words in transcripts.items()}
        super().check_voices(request, said)
        heard = [said[voice] for voice in named_voices(request.turns)]
        check_length(script([*enumerate(heard), *lines_of(request.turns)]))

    def load(self, variant: str, context: LoadContext) -> Loaded[DiaEngine]:
        """Load the published checkpoint and its codec, or a tiny random one, as the policy says."""

        def pretrained() -> DiaEngine:
            weights = pretrained_folder(WEIGHTS_REPOSITORY, context.work_dir)
            codec = pretrained_folder(CODEC_REPOSITORY, context.work_dir)
            return DiaEngine.from_folders(weights, codec, context.device)

        def tiny() -> DiaEngine:
            folder = build_checkpoint(context.work_dir / "tiny")
            return DiaEngine.from_folders(folder, folder / CODEC, context.device)

        return by_policy(context, pretrained, tiny)

    def run(self, engine: DiaEngine, request: DialogueRequest, context: RunContext) -> Output:
        """Speak all turns at once, as what follows on the recordings of the voices.

        Raises:
            InvalidRequest: the voices' transcripts leave no room for the text, or their recordings none for
                the dialogue; or one has no transcript.
        """
        context.progress(0.0, STAGE)
        voices, lines = named_voices(request.turns), lines_of(request.turns)
        samples = [context.voice(voice, sample_rate=engine.sample_rate) for voice in voices]
        text = script([*enumerate(map(_transcript, samples)), *lines])
        check_length(text)
        prompt = _prompt(samples)
        sampling, notes = _sampling(request.parameters, engine.steps(prompt))
        spoken = engine.speak(
            text,
            prompt,
            sampling,
            seed=request.seed,
            report=lambda fraction: context.progress(fraction, STAGE),
        )
        duration = len(spoken.samples) / engine.sample_rate
        if not spoken.ended:
            notes.append(_cut_off(sampling.max_new_tokens, duration))
        result = DialogueResult(
            turns=estimated_times(lines, [sample.name for sample in samples], duration),
            duration=duration,
            sample_rate=engine.sample_rate,
            channels=1,
            notes=[*_notes(request.turns), *notes],
        )
        audio = AudioOutput("dialogue", spoken.samples, engine.sample_rate, request.format)
        return Output(result, (audio, *dialogue_files(result)), audio_seconds=duration)

    def check_engine(self, engine: DiaEngine) -> None:
        """One pass over a word."""
        engine.check()


def _prompt(samples: Iterable[VoiceSample]) -> Samples:
    """The recordings of all speakers one after the other, mono ``[frames]``; none if no voice is named."""
    return np.concatenate([np.zeros(0, np.float32), *(sample.samples for sample in samples)])


def _transcript(sample: VoiceSample) -> str:
    transcript = plain(sample.transcript or "")
    if not transcript:
        raise InvalidRequest(
            f"the voice {sample.name!r} has no transcript: Dia must know what is said in its recording",
            field="turns",
        )
    return transcript


def _sampling(given: Mapping[str, Any], prompt_steps: int) -> tuple[Sampling, list[str]]:
    """The parameters as they can be followed, and notes of what had to be changed for that.

    Raises:
        InvalidRequest: a prompt of so many steps leaves no room for a dialogue.
    """
    values = DiaParameters.checked(given, "dia").model_dump()
    notes = []
    if values["temperature"] < 1:
        notes.append(f"temperature was raised from {values['temperature']:g} to 1, the least that Dia takes.")
        values["temperature"] = 1.0
    room = MAX_STEPS - prompt_steps
    if room < LEAST_STEPS:
        raise InvalidRequest(
            f"the recordings of the voices have {prompt_steps} tokens of 1/86 s; with the dialogue Dia has "
            f"room for {MAX_STEPS}. Name shorter ones, of 5 to 10 s, or only one",
            field="turns",
            details={"value": prompt_steps, "maximum": MAX_STEPS - LEAST_STEPS},
        )
    if values["max_new_tokens"] > room:
        notes.append(
            f"max_new_tokens was lowered from {values['max_new_tokens']} to {room}: the recordings of the "
            f"voices take {prompt_steps} of {MAX_STEPS}."
        )
        values["max_new_tokens"] = room
    return Sampling(**values), notes


def _notes(turns: Iterable[Turn]) -> list[str]:
    notes = ["The times of the turns are estimates by the lengths of their texts: Dia tells none."]
    if any(has_signs(turn.text) for turn in turns):
        notes.append("Signs such as [S1] were left out of the texts: the voices of the turns say who speaks.")
    return notes


def _cut_off(max_new_tokens: int, duration: float) -> str:
    return f"The end may be cut off: max_new_tokens ({max_new_tokens}) was reached after {duration:.1f} s."
