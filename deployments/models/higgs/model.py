"""Speech and dialogue with Higgs Audio v2 (Boson AI, 2025): expressive, in any voice that it hears."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from audiograph.errors import InvalidRequest
from audiograph.schemas import (
    DialogueRequest,
    Request,
    SpeakRequest,
    TaskName,
    Turn,
)
from deployments.models.base import LoadContext, Loaded, Model, Output, RunContext
from deployments.models.higgs.engine import HiggsEngine, Reference, load_engine
from deployments.models.higgs.parameters import HiggsParameters
from deployments.models.higgs.speakers import Speaker, cast
from deployments.models.higgs.text import has_control_marks, normalized, plain
from deployments.models.higgs.tiny import build_checkpoint
from deployments.models.kit.dialogue import SpokenPart, dialogue_output, speech_output
from deployments.models.kit.hugging_face import pretrained_folder
from deployments.models.kit.seeding import seeded
from deployments.models.kit.speaking import (
    SHORTEST_SECONDS,
    Speech,
    check_spoken,
    cut_off,
    expected_frames,
    turns_of,
    voices_of,
)
from deployments.models.kit.weights import by_policy
from deployments.models.voices import check_transcripts

MODEL, CODEC = "eustlb/higgs-v2", "eustlb/higgs-audio-v2-tokenizer"
"""Its authors' checkpoint and tokenizer, in the form that transformers reads."""

STAGE = "speaking"
TELL = "say it in parameters.transcription (for a dialogue, parameters.audio_transcriptions)"


class Higgs(Model[HiggsEngine]):
    """``speak`` and ``dialogue``, with recorded voices whose transcripts are known. Mono at 24 kHz.

    The turns of a dialogue are made one after the other. Turns that name no voice have one that the model
    chooses with the first of them, and that the others keep.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("v2-3B",)
    default_variant = "v2-3B"
    checkpoint = "bosonai/higgs-audio-v2-generation-3B-base"
    clones_voices = True  # whose transcripts may come with the request: see `check_voices`

    def check_request(self, request: Request, variant: str) -> None:
        """Refuse parameters that are unknown or out of range, and text of nothing that can be spoken."""
        assert isinstance(request, SpeakRequest | DialogueRequest)
        parameters = HiggsParameters.checked(request.parameters, "higgs")
        if isinstance(request, SpeakRequest):
            check_spoken(request.text, "text")
            return
        for number, turn in enumerate(request.turns):
            check_spoken(turn.text, f"turns.{number}.text")
        _check_transcripts(parameters, voices_of(request.turns))

    def without_voices(self, request: Request, missing: Collection[str]) -> Request:
        """And without what is told of their recordings."""
        if isinstance(request, DialogueRequest) and "audio_transcriptions" in request.parameters:
            told = zip(voices_of(request.turns), request.parameters["audio_transcriptions"], strict=False)
            left = [transcript for voice, transcript in told if voice not in missing]
            parameters = {**request.parameters, "audio_transcriptions": left}
            request = request.model_copy(update={"parameters": parameters})
        return super().without_voices(request, missing)

    def check_voices(self, request: Request, transcripts: Mapping[str, str | None]) -> None:
        """Refuse voices of which neither the request nor the server knows what they say.

        Raises:
            InvalidRequest: naming the field, the voice and what would be right.
        """
        assert isinstance(request, SpeakRequest | DialogueRequest)
        told = _transcripts(request, HiggsParameters.checked(request.parameters, "higgs"))
        said = {voice: plain(told.get(voice) or words or "") for voice, words in transcripts.items()}
        check_transcripts(request, said, or_else=TELL)

    def load(self, variant: str, context: LoadContext) -> Loaded[HiggsEngine]:
        """Load the published checkpoints, or tiny random ones, as the policy says."""

        def pretrained() -> HiggsEngine:
            model, codec = (pretrained_folder(name, context.work_dir) for name in (MODEL, CODEC))
            return load_engine(model, codec, context.device)

        def tiny() -> HiggsEngine:
            folder = build_checkpoint(context.work_dir / "tiny")
            return load_engine(folder / "model", folder / "codec", context.device)

        return by_policy(context, pretrained, tiny)

    def run(
        self, engine: HiggsEngine, request: SpeakRequest | DialogueRequest, context: RunContext
    ) -> Output:
        """Speak a text, or one turn after the other.

        Raises:
            NotFound: there is no such voice.
            InvalidAudio: its recording is too short or too long.
            InvalidRequest: what is said in it is neither known nor told.
        """
        context.progress(0.0, STAGE)
        parameters = HiggsParameters.checked(request.parameters, "higgs")
        turns = turns_of(request)
        speakers = cast(turns, _transcripts(request, parameters), engine.sample_rate, context)
        with seeded(request.seed, engine.device):
            speeches = list(_spoken(engine, turns, speakers, parameters, context))
        parts = [
            SpokenPart(speakers[turn.voice].name, turn.text, speech.samples)
            for turn, speech in zip(turns, speeches, strict=True)
        ]
        notes = list(_notes(request, parameters, speeches))
        if isinstance(request, DialogueRequest):
            return dialogue_output(parts, engine.sample_rate, request.format, notes)
        return speech_output(parts[0], engine.sample_rate, request.format, notes)

    def unload(self, engine: HiggsEngine) -> None:
        """Let go of what transformers remembers of the codec."""
        engine.close()

    def check_engine(self, engine: HiggsEngine) -> None:
        """One pass of the language model."""
        engine.check()


def _spoken(
    engine: HiggsEngine,
    turns: Sequence[Turn],
    speakers: dict[str | None, Speaker],
    parameters: HiggsParameters,
    context: RunContext,
) -> Iterator[Speech]:
    """Speak turn by turn; a speaker without a reference has one as soon as a turn is long enough."""
    texts = [normalized(turn.text) for turn in turns]
    expected = [min(expected_frames(text), parameters.max_new_tokens) for text in texts]
    for number, (turn, text) in enumerate(zip(turns, texts, strict=True)):
        speaker = speakers[turn.voice]
        report = _reporter(context, expected, number)
        speech = engine.speak(text, parameters, speaker.reference, report)
        if speaker.reference is None and len(speech.samples) >= SHORTEST_SECONDS * engine.sample_rate:
            speakers[turn.voice] = replace(speaker, reference=Reference(speech.samples, text))
        yield speech


def _reporter(context: RunContext, expected: Sequence[int], number: int) -> Callable[[int], None]:
    """Tells progress by the steps of a turn; a turn that takes more than expected stands still at its end."""
    before, most, total = sum(expected[:number]), expected[number], sum(expected)
    return lambda steps: context.progress((before + min(steps, most)) / total, STAGE)


def _transcripts(
    request: SpeakRequest | DialogueRequest, parameters: HiggsParameters
) -> dict[str, str | None]:
    """What the request says that its voices say."""
    if isinstance(request, DialogueRequest):
        return dict(zip(voices_of(request.turns), parameters.audio_transcriptions, strict=False))
    return {request.voice: parameters.transcription} if request.voice is not None else {}


def _notes(
    request: SpeakRequest | DialogueRequest,
    parameters: HiggsParameters,
    speeches: Sequence[Speech],
) -> Iterator[str]:
    if isinstance(request, DialogueRequest):
        if parameters.transcription:
            yield "transcription was ignored: a dialogue takes audio_transcriptions."
    else:
        if parameters.audio_transcriptions:
            yield "audio_transcriptions was ignored: it is for dialogues; transcription is for speech."
        if parameters.transcription and request.voice is None:
            yield "transcription was ignored: no voice is named."
    if any(has_control_marks(turn.text) for turn in turns_of(request)):
        yield "<| and |> were left out of the text: they mark the model's control tokens."
    yield from cut_off(request, speeches, parameters.max_new_tokens)


def _check_transcripts(parameters: HiggsParameters, voices: Sequence[str]) -> None:
    given, field = len(parameters.audio_transcriptions), "parameters.audio_transcriptions"
    if given > len(voices):
        raise InvalidRequest(
            f"{field} has {given} texts for {len(voices)} voices: give one for each voice that the turns "
            "name, in the order in which they first speak",
            field=field,
            details={"value": given, "maximum": len(voices)},
        )
