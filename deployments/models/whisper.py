"""Speech to text with openai-whisper: language detection, segments, word times, translation into English."""

import importlib.util
import logging
import re
from collections.abc import Iterator
from typing import Any, ClassVar

from audiograph.errors import InvalidRequest, WeightsMissing
from audiograph.schemas import Request, Segment, TaskName, TranscribeRequest, TranscribeResult, Word
from deployments.models.base import LoadContext, Loaded, Model, Output, RunContext
from deployments.models.transcripts import transcript_files
from deployments.models.whisper_languages import LANGUAGES, language_code
from deployments.models.whisper_listener import transcribe
from deployments.models.whisper_weights import pretrained_checkpoint
from deployments.tiny.whisper import build_checkpoint

logger = logging.getLogger("audiograph.models")

SAMPLE_RATE = 16_000
TEMPERATURE_LADDER = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Whisper's own: the next one is tried where a window's text repeats itself or is improbable."""

KNOWS_CANTONESE = frozenset({"large-v3", "turbo"})
CONTROL_TOKEN = re.compile(r"<\|.*?\|>")


class Whisper(Model[Any]):
    """``transcribe`` with OpenAI's Whisper; the engine is a `whisper.model.Whisper`."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("transcribe",)
    variants = ("tiny", "base", "small", "medium", "large-v3", "turbo")
    default_variant = "base"

    @classmethod
    def missing(cls) -> str | None:
        """The package openai-whisper, if it is not installed."""
        if importlib.util.find_spec("whisper") is None:
            return "The package openai-whisper is not installed."
        return None

    @classmethod
    def check_request(cls, request: Request, variant: str) -> None:
        """Refuse unknown languages, what a variant was not trained for, and control tokens in the prompt."""
        assert isinstance(request, TranscribeRequest)
        if request.language is not None:
            _check_language(request.language, variant)
        if request.translate and variant == "turbo":
            raise InvalidRequest(
                "variant 'turbo' was not trained to translate; take 'medium' or 'large-v3'", field="translate"
            )
        if found := CONTROL_TOKEN.search(request.prompt or ""):
            raise InvalidRequest(
                f"the prompt holds {found[0]!r}, which could be one of the model's control tokens; "
                "leave it out",
                field="prompt",
            )

    def load(self, variant: str, context: LoadContext) -> Loaded[Any]:
        """Load the published checkpoint, or a tiny random one, as the policy says."""
        if context.policy != "tiny":
            try:
                return Loaded(_load_pretrained(variant, context), "pretrained")
            except WeightsMissing as error:
                if context.policy == "pretrained":
                    raise
                logger.warning("%s Going on with RANDOM weights, which transcribe nothing.", error)
        return Loaded(_load_tiny(variant, context), "random")

    def run(self, engine: Any, request: TranscribeRequest, context: RunContext) -> Output:
        """Transcribe a file; a language that is not given is detected from the first 30 s."""
        context.progress(0.0, "decoding audio")
        samples, _ = context.audio(request.file, sample_rate=SAMPLE_RATE, mono=True)
        duration = len(samples) / SAMPLE_RATE
        heard = transcribe(
            engine,
            samples,
            context,
            temperatures=TEMPERATURE_LADDER if request.temperature is None else (request.temperature,),
            language=None if request.language is None else language_code(request.language),
            task="translate" if request.translate else "transcribe",
            initial_prompt=_prompt(request),
            word_timestamps=request.word_timestamps,
            fp16=context.device == "cuda",
        )
        result = TranscribeResult(
            text=heard["text"].strip(),
            language=heard["language"],
            duration=round(duration, 3),
            segments=list(_segments(heard["segments"], duration, words=request.word_timestamps)),
            notes=list(_notes(engine, request)),
        )
        return Output(result, transcript_files(result), audio_seconds=duration)

    def check_engine(self, engine: Any) -> None:
        """One decoder step over a single frame of audio features."""
        import torch

        with torch.inference_mode():
            token = torch.zeros(1, 1, dtype=torch.long, device=engine.device)
            features = torch.zeros(1, 1, engine.dims.n_audio_state, device=engine.device)
            if not engine.decoder(token, features).isfinite().all():
                raise RuntimeError("the decoder's logits are not finite")


def _load_pretrained(variant: str, context: LoadContext) -> Any:
    import whisper

    path = pretrained_checkpoint(variant, context.work_dir)
    model = whisper.load_model(str(path), device=context.device)
    # Known by name alone, and without them word times are wrong.
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[variant])
    return model


def _load_tiny(variant: str, context: LoadContext) -> Any:
    """Its alignment heads stay whisper's default, the upper half of its layers."""
    import whisper

    path = build_checkpoint(variant, context.work_dir / "tiny")
    return whisper.load_model(str(path), device=context.device)


def _check_language(language: str, variant: str) -> None:
    code = language_code(language)
    if code is None:
        raise InvalidRequest(
            f"whisper does not know the language {language!r}; it takes a code ({', '.join(LANGUAGES)}) "
            "or an English name such as 'german'",
            field="language",
        )
    if code == "yue" and variant not in KNOWS_CANTONESE:
        raise InvalidRequest(
            f"variant {variant!r} does not know {language!r}; take 'large-v3' or 'turbo'", field="language"
        )


def _prompt(request: TranscribeRequest) -> str | None:
    return (request.prompt or "").strip() or None


def _segments(heard: list[dict[str, Any]], duration: float, *, words: bool) -> Iterator[Segment]:
    """Segments with text, within the recording: whisper's windows reach beyond its end."""

    def within(seconds: float) -> float:
        return round(min(max(float(seconds), 0.0), duration), 3)

    for index, part in enumerate(part for part in heard if part["text"].strip()):
        yield Segment(
            id=index,
            start=within(part["start"]),
            end=within(part["end"]),
            text=part["text"].strip(),
            temperature=part["temperature"],
            avg_logprob=part["avg_logprob"],
            compression_ratio=part["compression_ratio"],
            no_speech_prob=part["no_speech_prob"],
            words=[
                Word(
                    word=word["word"].strip(),
                    start=within(word["start"]),
                    end=within(word["end"]),
                    probability=float(word["probability"]),
                )
                for word in part["words"]
            ]
            if words
            else None,
        )


def _notes(engine: Any, request: TranscribeRequest) -> Iterator[str]:
    from whisper.tokenizer import get_tokenizer

    if request.vad:
        yield "vad was ignored: this model leaves out windows without speech by its own judgement."
    if request.word_timestamps and request.translate:
        yield "Word times of a translation are not reliable."
    if prompt := _prompt(request):
        room = engine.dims.n_text_ctx // 2 - 1
        tokens = len(get_tokenizer(True, num_languages=engine.num_languages).encode(" " + prompt))
        if tokens > room:
            yield f"The prompt has {tokens} tokens; only the last {room} were used."
