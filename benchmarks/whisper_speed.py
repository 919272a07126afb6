"""Whisper in flight against openai-whisper's own `transcribe`, one request after the other, same weights.

And what was measured to choose the engine by: `whisper.decode` with a batch, and transformers' `generate`.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
import whisper
from whisper.tokenizer import get_tokenizer

from audiograph.schemas import TranscribeRequest
from benchmarks.bare import BareContext, BareTicket, fly
from benchmarks.measure import Comparison, Setting, alternate
from deployments.models.base import Output, Samples
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.models.whisper.tiny import scripted_model
from deployments.models.whisper.windows import Window, mel_of

CONCURRENCY = (1, 4, 16)
SEATS = 16
WINDOWS = 8
"""To compare engines with: as many as share the decoder on a CPU."""

SECONDS, RATE = 30, 16_000
SENTENCES, WORDS = 6, 15
"""As much as is said in half a minute: 103 tokens with their times."""

SIZE = {"state": 384, "heads": 6, "layers": 4}
"""Of the published `tiny`."""

MODEL = Whisper(WhisperOptions())


class InMemory(BareContext):
    """One recording, decoded already: the same for all contenders."""

    def __init__(self, samples: Samples) -> None:
        super().__init__(Path())
        self._samples = samples

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        """As it is."""
        return self._samples, RATE


def compare(setting: Setting) -> list[Comparison]:
    """Recordings of 30 s at 1, 4 and 16 at a time; then eight of them by each engine, in one language."""
    torch.set_num_threads(2)
    model = talker("tiny", SIZE)
    recordings = noises(max(CONCURRENCY))
    rounds = setting.rounds(3)
    return [
        *(at_once(model, recordings[:count], rounds) for count in CONCURRENCY),
        _engines(model, recordings[:WINDOWS], rounds),
    ]


def talker(variant: str, size: Mapping[str, int]) -> Any:
    """A model of a size that hears as many words in every half minute as are said in one."""
    return scripted_model(variant, **size, speech=_speech()).eval()


def noises(count: int) -> list[Samples]:
    """So many recordings of 30 s, each another."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, SECONDS * RATE).astype(np.float32) for _ in range(count)]


def at_once(model: Any, recordings: list[Samples], rounds: int) -> Comparison:
    """Recordings that all wait from the start, in seconds of recording a second."""
    contenders = {
        "whisper.transcribe, one by one": partial(_transcribe, model, recordings),
        "in flight": partial(_in_flight, model, recordings),
    }
    title = f"{len(recordings)} recordings of {SECONDS} s at once"
    return Comparison(title, alternate(contenders, rounds), SECONDS * len(recordings), "s of speech")


def _engines(model: Any, recordings: list[Samples], rounds: int) -> Comparison:
    contenders: dict[str, Callable[[], object]] = {
        "whisper.transcribe, one by one, language given": partial(
            _transcribe, model, recordings, language="en"
        ),
        "whisper.decode, one batch": partial(_decode, model, recordings),
        "transformers generate, one batch": partial(_generate, _converted(model), recordings),
        "in flight": partial(_in_flight, model, recordings, language="en"),
    }
    title = f"engines: {len(recordings)} windows"
    return Comparison(title, alternate(contenders, rounds), SECONDS * len(recordings), "s of speech")


def _transcribe(model: Any, recordings: list[Samples], **options: str) -> None:
    for samples in recordings:
        heard = whisper.transcribe(model, samples, fp16=model.device.type == "cuda", **options)
        assert len(heard["segments"]) == SENTENCES


def _in_flight(model: Any, recordings: list[Samples], **fields: str) -> None:
    tickets = [
        BareTicket(TranscribeRequest(file="talk", **fields), InMemory(samples)) for samples in recordings
    ]
    fly(MODEL, model, tickets, max(SEATS, len(tickets)))
    for ticket in tickets:
        assert isinstance(ticket.outcome, Output)
        assert len(ticket.outcome.result.model_dump()["segments"]) == SENTENCES


def _decode(model: Any, recordings: list[Samples]) -> None:
    heard = whisper.decode(model, _mels(recordings), whisper.DecodingOptions(language="en", fp16=False))
    assert all(len(one.tokens) == SENTENCES * (WORDS + 2) for one in heard)


def _generate(model: Any, recordings: list[Samples]) -> None:
    with torch.inference_mode():
        made = model.generate(
            input_features=_mels(recordings), language="en", task="transcribe", return_timestamps=True
        )
    assert made.shape[1] >= SENTENCES * (WORDS + 2)


def _mels(recordings: list[Samples]) -> Any:
    window = Window(0, SECONDS * 100)
    return torch.stack([mel_of(window, samples, bands=80, device="cpu") for samples in recordings])


def _speech() -> list[tuple[float, str, float]]:
    """Sentences of words that are one token each, none of them twice."""
    tokenizer = get_tokenizer(True)
    words = [
        text for token in range(300, 20_000) if re.fullmatch(" [a-z]{4,}", text := tokenizer.decode([token]))
    ]
    return [(n * 5.0, "".join(words[n * WORDS : (n + 1) * WORDS]), n * 5.0 + 4.8) for n in range(SENTENCES)]


NAMES = {
    "blocks": "layers",
    "mlp.0": "fc1",
    "mlp.2": "fc2",
    "mlp_ln": "final_layer_norm",
    ".attn.query": ".self_attn.q_proj",
    ".attn.key": ".self_attn.k_proj",
    ".attn.value": ".self_attn.v_proj",
    ".attn_ln": ".self_attn_layer_norm",
    ".attn.out": ".self_attn.out_proj",
    ".cross_attn.query": ".encoder_attn.q_proj",
    ".cross_attn.key": ".encoder_attn.k_proj",
    ".cross_attn.value": ".encoder_attn.v_proj",
    ".cross_attn_ln": ".encoder_attn_layer_norm",
    ".cross_attn.out": ".encoder_attn.out_proj",
    "decoder.ln.": "decoder.layer_norm.",
    "encoder.positional_embedding": "encoder.embed_positions.weight",
    "decoder.positional_embedding": "decoder.embed_positions.weight",
    "token_embedding": "embed_tokens",
    "ln_post": "layer_norm",
}
"""What openai-whisper calls its weights, and transformers."""


def _converted(model: Any) -> Any:
    """The same weights as a model of transformers, with what `generate` must know."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration  # noqa: PLC0415

    tokenizer = get_tokenizer(True, language="en", task="transcribe")
    dims = model.dims
    config = WhisperConfig(
        vocab_size=dims.n_vocab,
        num_mel_bins=dims.n_mels,
        d_model=dims.n_audio_state,
        encoder_layers=dims.n_audio_layer,
        encoder_attention_heads=dims.n_audio_head,
        decoder_layers=dims.n_text_layer,
        decoder_attention_heads=dims.n_text_head,
        encoder_ffn_dim=4 * dims.n_audio_state,
        decoder_ffn_dim=4 * dims.n_text_state,
        decoder_start_token_id=tokenizer.sot,
        pad_token_id=tokenizer.eot,
        bos_token_id=tokenizer.eot,
        eos_token_id=tokenizer.eot,
    )
    other = WhisperForConditionalGeneration(config).eval()
    weights = {f"model.{_renamed(name)}": weight for name, weight in model.state_dict().items()}
    assert other.load_state_dict(weights, strict=False).missing_keys == ["proj_out.weight"]  # which is tied
    settings = other.generation_config
    settings.is_multilingual = True
    settings.lang_to_id = {"<|en|>": tokenizer.to_language_token("en")}
    settings.task_to_id = {"transcribe": tokenizer.transcribe}
    settings.no_timestamps_token_id = tokenizer.no_timestamps
    settings.max_initial_timestamp_index = 50
    settings.begin_suppress_tokens = [220, tokenizer.eot]
    settings.suppress_tokens = []
    settings.max_length = dims.n_text_ctx
    return other


def _renamed(name: str) -> str:
    return reduce(lambda found, pair: found.replace(*pair), NAMES.items(), name)
