"""Speech to text with Whisper: language detection, segments, word times, translation into English."""

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import TaskName, TranscribeRequest
from deployments.models.base import ContinuousModel, Intake, LoadContext, Options
from deployments.models.weights.published import Published
from deployments.models.whisper.languages import LANGUAGES, closest_language, is_detected, language_code
from deployments.models.whisper.precision import Precision, to_native_precision
from deployments.models.whisper.scheduler import Scheduler
from deployments.models.whisper.tiny import build_checkpoint
from deployments.models.whisper.weights import checkpoint

if TYPE_CHECKING:
    from whisper import Whisper as Network

MAX_ROWS_ON_CPU = 8
"""Windows in the decoder on a CPU, unless `WhisperOptions.batch_size` is given."""
MAX_ROWS_ON_GPU = 16
"""Windows in the decoder on a GPU, unless `WhisperOptions.batch_size` is given."""
MAX_ENCODED_ON_GPU = 8
"""Windows in one pass of the encoder; a CPU is not faster with more than one."""

KNOWS_CANTONESE = frozenset({"large-v3", "turbo"})
"""Variants with the language ``yue`` in their vocabulary."""
CONTROL_TOKEN = re.compile(r"<\|.*?\|>")
"""Spelling of Whisper's special tokens, such as ``<|endoftext|>``."""


class WhisperOptions(Options):
    """Options of Whisper."""

    batch_size: int | None = Field(None, ge=1, le=256)
    """Windows of 30 s in the decoder; absent: 8 on a CPU, 16 on a GPU."""
    precision: Precision | None = None
    """Of the weights on a CPU: `float32` as in openai-whisper, or `reduced` to fewer bits, which is faster;
    absent: reduced, where the processor computes in bfloat16."""


class Whisper(ContinuousModel["Network", TranscribeRequest]):
    """``transcribe`` with OpenAI's Whisper; the engine is its network."""

    tasks: ClassVar[tuple[TaskName, ...]] = ("transcribe",)
    variants = ("tiny", "base", "small", "medium", "large-v3", "turbo")
    default_variant = "base"
    options_class = WhisperOptions

    options: WhisperOptions

    @classmethod
    def missing(cls) -> str | None:
        """Return a sentence about the package openai-whisper if it is not installed."""
        if importlib.util.find_spec("whisper") is None:
            return "The package openai-whisper is not installed."
        return None

    def check_request(self, request: TranscribeRequest, variant: str) -> None:
        """Refuse languages and tasks that the variant was not trained for, and control tokens in the prompt.

        Raises:
            InvalidRequest: with the field, its value and a valid one.
        """
        if request.language is not None and not is_detected(request.language):
            _check_language(request.language, variant)
        if request.translate and variant == "turbo":
            raise InvalidRequest(
                "variant 'turbo' was not trained to translate; take 'medium' or 'large-v3'", field="translate"
            )
        if found := CONTROL_TOKEN.search(request.prompt or ""):
            raise InvalidRequest(
                f"the prompt holds {shown(found[0])}, which could be one of the model's control tokens; "
                "leave it out",
                field="prompt",
            )

    def published(self, variant: str) -> Sequence[Published]:
        """List the checkpoint of a variant."""
        return (checkpoint(variant),)

    def load(self, variant: str, context: LoadContext) -> "Network":
        """Load the published checkpoint, or a tiny random one."""
        if context.weights:
            model = _load_pretrained(variant, context.weights[0], context.device)
        else:
            model = _load_tiny(variant, context)
        return to_native_precision(model, self.options.precision)

    def run_continuous(self, engine: "Network", intake: Intake[TranscribeRequest]) -> None:
        """Transcribe the windows of all requests together.

        Unlike in `whisper.transcribe`, no window is conditioned on the text of the one before it, and the
        prompt precedes every window. So windows of one recording can be decoded at the same time. A language
        that is not given is detected from the first window.
        """
        import torch

        on_gpu = engine.device.type == "cuda"
        max_rows = self.options.batch_size or (MAX_ROWS_ON_GPU if on_gpu else MAX_ROWS_ON_CPU)
        max_encoded = MAX_ENCODED_ON_GPU if on_gpu else 1
        with torch.inference_mode():
            Scheduler(engine, intake, max_rows=max_rows, max_encoded=max_encoded).run()

    def check_engine(self, engine: "Network") -> None:
        """Run one decoder step over a single frame of audio features."""
        import torch

        with torch.inference_mode():
            token = torch.zeros(1, 1, dtype=torch.long, device=engine.device)
            features = torch.zeros(1, 1, engine.dims.n_audio_state, device=engine.device)
            if not engine.decoder(token, features).isfinite().all():
                raise RuntimeError("the decoder's logits are not finite")


def _load_pretrained(variant: str, path: Path, device: str) -> "Network":
    import whisper

    model = whisper.load_model(str(path), device=device)
    # `whisper.load_model` sets them only for the name of a variant, not for a path. Word times are wrong
    # without them.
    model.set_alignment_heads(whisper._ALIGNMENT_HEADS[variant])
    return model


def _load_tiny(variant: str, context: LoadContext) -> "Network":
    """Load a tiny checkpoint; its alignment heads are whisper's default, the upper half of its layers."""
    import whisper

    path = build_checkpoint(variant, context.work_dir / "tiny")
    return whisper.load_model(str(path), device=context.device)


def _check_language(language: str, variant: str) -> None:
    code = language_code(language)
    if code is None:
        close = closest_language(language)
        hint = f"did you mean {close!r}? It" if close else "it"
        raise InvalidRequest(
            f"language {shown(language)} is not one that whisper knows; {hint} takes a language tag such as "
            "'de' or 'pt-BR', or an English name such as 'german'; leave it out to detect it",
            field="language",
            details={"value": language, "languages": list(LANGUAGES)},
        )
    if code == "yue" and variant not in KNOWS_CANTONESE:
        raise InvalidRequest(
            f"variant {variant!r} does not know {shown(language)}; take 'large-v3' or 'turbo'",
            field="language",
        )
