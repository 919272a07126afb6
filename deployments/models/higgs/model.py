"""Expressive speech and dialogue in cloned voices, by Higgs Audio v2 (Boson AI, 2025) in transformers."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, TaskName, Turn
from deployments.models.base import LoadContext, Model, Output, RunContext
from deployments.models.higgs.engine import HiggsEngine, Reference, load_engine
from deployments.models.higgs.parameters import HiggsParameters
from deployments.models.higgs.speakers import HiggsSpeaker, resolve_speakers
from deployments.models.higgs.text import has_control_marks, normalized, plain
from deployments.models.higgs.tiny import build_checkpoint
from deployments.models.kit.dialogue import spoken_output, spoken_parts
from deployments.models.kit.seeding import seeded
from deployments.models.kit.speaking import (
    MIN_VOICE_SECONDS,
    STAGE,
    Speech,
    cut_off_notes,
    expected_frames,
    turns_of,
    voices_of,
)
from deployments.models.kit.speech_model import SpeechModel, SpeechRequest
from deployments.models.kit.texts import texts_of
from deployments.models.voices import require_transcripts
from deployments.models.weights.published import Published, PublishedRepository

LICENCE = "LicenseRef-Boson-Higgs-Audio-2-Community"
WEIGHTS = PublishedRepository("eustlb/higgs-v2", LICENCE)
CODEC_WEIGHTS = PublishedRepository("eustlb/higgs-audio-v2-tokenizer", LICENCE)
"""The authors' checkpoints in the format of transformers."""


class Higgs(SpeechModel[HiggsEngine, SpeechRequest], Model[HiggsEngine, SpeechRequest]):
    """``speak`` and ``dialogue``, with recorded voices whose transcripts are known. Mono at 24 kHz.

    The turns of a dialogue are generated one after the other. The model chooses one voice for all turns that
    name none: the speech of the first such turn is the reference of the others.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("v2-3B",)
    default_variant = "v2-3B"
    checkpoint = "bosonai/higgs-audio-v2-generation-3B-base"
    clones_voices = True  # a transcript may come with the request, so `check_voices` requires it

    def check_request(self, request: SpeechRequest, variant: str) -> None:
        """Refuse parameters that are unknown or out of range, and texts without anything to speak.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
        """
        super().check_request(request, variant)
        parameters = HiggsParameters.checked(request.parameters, "higgs")
        if isinstance(request, DialogueRequest):
            _check_transcripts(parameters, voices_of(request.turns))

    def without_voices(self, request: SpeechRequest, missing: Collection[str]) -> SpeechRequest:
        """Return a copy of a checked request in which the default voice replaces missing voices.

        The transcripts of the missing voices are dropped.
        """
        if isinstance(request, DialogueRequest) and "audio_transcriptions" in request.parameters:
            given = zip(voices_of(request.turns), request.parameters["audio_transcriptions"], strict=False)
            kept = [transcript for voice, transcript in given if voice not in missing]
            parameters = {**request.parameters, "audio_transcriptions": kept}
            request = request.model_copy(update={"parameters": parameters})
        return super().without_voices(request, missing)

    def check_voices(self, request: SpeechRequest, transcripts: Mapping[str, str | None]) -> None:
        """Require a transcript for every recorded voice, from the request or the server.

        Raises:
            InvalidRequest: with the field, the voice and the cure.
        """
        given = _transcripts(request, HiggsParameters.checked(request.parameters, "higgs"))
        known = {voice: plain(given.get(voice) or stored or "") for voice, stored in transcripts.items()}
        parameter = "audio_transcriptions" if isinstance(request, DialogueRequest) else "transcription"
        require_transcripts(request, known, parameter=parameter)

    def published(self, variant: str) -> Sequence[Published]:
        """List the checkpoint and its codec."""
        return WEIGHTS, CODEC_WEIGHTS

    def load(self, variant: str, context: LoadContext) -> HiggsEngine:
        """Load the published checkpoints, or tiny random ones."""
        if context.weights:
            model, codec = context.weights
        else:
            folder = build_checkpoint(context.work_dir / "tiny")
            model, codec = folder / "model", folder / "codec"
        return load_engine(model, codec, context.device)

    def run(self, engine: HiggsEngine, request: SpeechRequest, context: RunContext) -> Output:
        """Speak a text, or the turns of a dialogue one after the other.

        Raises:
            NotFound: a recorded voice does not exist any more.
            InvalidAudio: a recorded voice is too short or too long.
            InvalidRequest: a recorded voice has no transcript.
        """
        context.progress(0.0, STAGE)
        parameters = HiggsParameters.checked(request.parameters, "higgs")
        turns = turns_of(request)
        transcripts = _transcripts(request, parameters)
        speakers = resolve_speakers(request, transcripts, engine.sample_rate, context)
        with seeded(request.seed, engine.device):
            speeches = list(_speeches(engine, turns, speakers, parameters, context))
        notes = [
            *_notes(request, parameters),
            *cut_off_notes(request, speeches, parameters.max_new_tokens),
        ]
        return spoken_output(request, spoken_parts(turns, speakers, speeches), engine.sample_rate, notes)

    def unload(self, engine: HiggsEngine) -> None:
        """Release the codec, which transformers keeps in a cache."""
        engine.close()

    def check_engine(self, engine: HiggsEngine) -> None:
        """Run one pass of the language model."""
        engine.check()


def _speeches(
    engine: HiggsEngine,
    turns: Sequence[Turn],
    speakers: dict[str | None, HiggsSpeaker],
    parameters: HiggsParameters,
    context: RunContext,
) -> Iterator[Speech]:
    """Speak turn by turn; the first long enough turn of the default voice becomes its reference."""
    texts = [normalized(turn.text) for turn in turns]
    expected = [min(expected_frames(text), parameters.max_new_tokens) for text in texts]
    for number, (turn, text) in enumerate(zip(turns, texts, strict=True)):
        speaker = speakers[turn.voice]
        report = _reporter(context, expected, number)
        speech = engine.speak(text, parameters, speaker.reference, report)
        if speaker.reference is None and len(speech.samples) >= MIN_VOICE_SECONDS * engine.sample_rate:
            speakers[turn.voice] = replace(speaker, reference=Reference(speech.samples, text))
        yield speech


def _reporter(context: RunContext, expected: Sequence[int], number: int) -> Callable[[int], None]:
    """Return a function that reports the steps of a turn, and counts at most the expected number."""
    before, own, total = sum(expected[:number]), expected[number], sum(expected)
    return lambda steps: context.progress((before + min(steps, own)) / total, STAGE)


def _transcripts(request: SpeechRequest, parameters: HiggsParameters) -> dict[str, str | None]:
    """Return the transcripts in the request's parameters, by voice."""
    if isinstance(request, DialogueRequest):
        return dict(zip(voices_of(request.turns), parameters.audio_transcriptions, strict=False))
    return {request.voice: parameters.transcription} if request.voice is not None else {}


def _notes(request: SpeechRequest, parameters: HiggsParameters) -> Iterator[str]:
    if isinstance(request, DialogueRequest):
        if parameters.transcription:
            yield "transcription was ignored: a dialogue takes audio_transcriptions."
    else:
        if parameters.audio_transcriptions:
            yield "audio_transcriptions was ignored: it is for dialogues; transcription is for speech."
        if parameters.transcription and request.voice is None:
            yield "transcription was ignored: no voice is named."
    if any(has_control_marks(text) for text in texts_of(request).values()):
        yield "<| and |> were left out of the text: they mark the model's control tokens."


def _check_transcripts(parameters: HiggsParameters, voices: Sequence[str]) -> None:
    count, field = len(parameters.audio_transcriptions), "parameters.audio_transcriptions"
    if count > len(voices):
        raise InvalidRequest(
            f"{field} has {count} texts for {len(voices)} voices: give one for each voice that the turns "
            "name, in the order of their first turns",
            field=field,
            details={"value": count, "maximum": len(voices)},
        )
