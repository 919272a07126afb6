"""Speech and dialogue with Resemble AI's Chatterbox (2025): English, in any voice that it hears."""

import importlib.util
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, Request, SpeakRequest, TaskName, Turn
from deployments.models.base import LoadContext, Loaded, Model, Output, RunContext
from deployments.models.chatterbox.engine import ChatterboxEngine, load_engine
from deployments.models.chatterbox.parameters import ChatterboxParameters
from deployments.models.chatterbox.tiny import build_checkpoint
from deployments.models.kit.dialogue import SpokenPart, dialogue_output, spans, speech_output
from deployments.models.kit.hugging_face import pretrained_folder
from deployments.models.kit.seeding import seeded
from deployments.models.kit.speaking import (
    DEFAULT_VOICE,
    Speech,
    check_spoken,
    cut_off,
    recorded,
    turns_of,
    voices_of,
)
from deployments.models.kit.weights import by_policy

WEIGHTS_REPOSITORY = "ResembleAI/chatterbox"
WEIGHTS_FILES = ("ve.safetensors", "t3_cfg.safetensors", "s3gen.safetensors", "tokenizer.json", "conds.pt")
"""Of a repository that has other models too. The last is a pickle, of which nothing but tensors is read."""

MOST_LETTERS = 1000
"""Of one text: more than anybody speaks in the 40 s that the model has for it."""


class Chatterbox(Model[ChatterboxEngine]):
    """``speak`` and ``dialogue``, in English, with recorded voices; mono at 24 kHz, with a watermark.

    The turns of a dialogue are made one after the other. Who names no voice has the one that comes with the
    checkpoint.
    """

    tasks: ClassVar[tuple[TaskName, ...]] = ("speak", "dialogue")
    variants = ("english",)
    default_variant = "english"
    checkpoint = WEIGHTS_REPOSITORY
    clones_voices = True

    @classmethod
    def missing(cls) -> str | None:
        """The package pins versions of others, so it is installed in an environment of its own."""
        if importlib.util.find_spec("chatterbox") is None:
            return (
                "The package chatterbox-tts is not installed; set `environment: chatterbox` in the model's "
                "entry and run `make envs`."
            )
        return None

    def check_request(self, request: Request, variant: str) -> None:
        """Refuse parameters that are unknown or out of range, and texts of nothing or of too much."""
        assert isinstance(request, SpeakRequest | DialogueRequest)
        ChatterboxParameters.checked(request.parameters, "chatterbox")
        if isinstance(request, SpeakRequest):
            _check_text(request.text, "text")
            return
        for number, turn in enumerate(request.turns):
            _check_text(turn.text, f"turns.{number}.text")

    def load(self, variant: str, context: LoadContext) -> Loaded[ChatterboxEngine]:
        """Load the published checkpoint, or a tiny random one, as the policy says."""

        def pretrained() -> ChatterboxEngine:
            folder = pretrained_folder(WEIGHTS_REPOSITORY, context.work_dir, files=WEIGHTS_FILES)
            return load_engine(folder, context.device)

        def tiny() -> ChatterboxEngine:
            folder = build_checkpoint(context.work_dir / "tiny")
            return load_engine(folder, context.device, tiny=True)

        return by_policy(context, pretrained, tiny)

    def run(
        self, engine: ChatterboxEngine, request: SpeakRequest | DialogueRequest, context: RunContext
    ) -> Output:
        """Speak a text, or one turn after the other.

        Raises:
            NotFound: there is no such voice.
            InvalidAudio: its recording is too short or too long.
        """
        context.progress(0.0, "speaking")
        given = ChatterboxParameters.checked(request.parameters, "chatterbox")
        parameters, notes = given.followed()
        turns = turns_of(request)
        names, voices = _cast(engine, turns, context)
        with seeded(request.seed, engine.device):
            speeches = list(_spoken(engine, turns, voices, parameters, context))
        notes += _notes(request, parameters, speeches, has_watermark=engine.has_watermark)
        parts = [
            SpokenPart(names[turn.voice], turn.text, speech.samples)
            for turn, speech in zip(turns, speeches, strict=True)
        ]
        if isinstance(request, DialogueRequest):
            return dialogue_output(parts, engine.sample_rate, request.format, notes)
        return speech_output(parts[0], engine.sample_rate, request.format, notes)

    def check_engine(self, engine: ChatterboxEngine) -> None:
        """One pass of the language model."""
        engine.check()


def _cast(
    engine: ChatterboxEngine, turns: Sequence[Turn], context: RunContext
) -> tuple[dict[str | None, str], dict[str | None, Any]]:
    """What the voices of the turns are called, and what the engine heard of them."""
    names: dict[str | None, str] = {None: DEFAULT_VOICE}
    voices: dict[str | None, Any] = {None: engine.default_voice}
    for voice in voices_of(turns):
        recording = recorded(voice, "Chatterbox", engine.sample_rate, context)
        names[voice], voices[voice] = recording.name, engine.hear(recording.samples)
    return names, voices


def _spoken(
    engine: ChatterboxEngine,
    turns: Sequence[Turn],
    voices: dict[str | None, Any],
    parameters: ChatterboxParameters,
    context: RunContext,
) -> Iterator[Speech]:
    for turn, span in zip(turns, spans(context, len(turns)), strict=True):
        yield engine.speak(turn.text, voices[turn.voice], parameters, span.progress)


def _notes(
    request: SpeakRequest | DialogueRequest,
    parameters: ChatterboxParameters,
    speeches: Sequence[Speech],
    *,
    has_watermark: bool,
) -> Iterator[str]:
    if parameters.disable_watermark:
        yield "The audio has no watermark: disable_watermark is set."
    elif not has_watermark:
        yield (
            "The audio has NO watermark: it is unavailable on this server, where the package resemble-perth "
            "lacks pkg_resources (setuptools older than 81); `make envs` installs both."
        )
    yield from cut_off(request, speeches, parameters.max_new_tokens)


def _check_text(text: str, field: str) -> None:
    check_spoken(text, field)
    if len(text) > MOST_LETTERS:
        raise InvalidRequest(
            f"{field} has {len(text)} characters; Chatterbox speaks at most {MOST_LETTERS} at a time: make "
            "several turns or requests of it",
            field=field,
            details={"value": len(text), "maximum": MOST_LETTERS},
        )
