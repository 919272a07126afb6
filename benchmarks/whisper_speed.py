"""Compares Whisper's continuous batching with openai-whisper's `transcribe` per request, on the same weights.

A last comparison has the other candidates for the engine: `whisper.decode` on a batch, and transformers'
`generate`.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial, reduce
from pathlib import Path

import numpy as np
import torch
import whisper
from torch import Tensor
from transformers import WhisperConfig, WhisperForConditionalGeneration
from whisper.tokenizer import get_tokenizer

from audiograph.schemas import TranscribeRequest
from benchmarks.bare import BareContext, BareTicket, serve
from benchmarks.measure import Comparison, Setting, alternate
from deployments.models.base import Output, Samples
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.models.whisper.tiny import scripted_model
from deployments.models.whisper.windows import Window, window_spectrogram

CONCURRENCY = (1, 4, 16)
MIN_CAPACITY = 16
WINDOWS = 8
"""Number of windows in the comparison of engines; as many share the decoder on a CPU."""

SECONDS = 30
"""Duration of a recording: one window."""
SAMPLE_RATE = 16_000
SENTENCES = 6
"""Number of sentences in a recording; with their timestamps they are 103 tokens."""
WORDS = 15
"""Number of words, each of one token, in a sentence."""

SIZE = {"state": 384, "heads": 6, "layers": 4}
"""Dimensions of the published `tiny`."""

MODEL = Whisper(WhisperOptions())


class InMemory(BareContext):
    """A context with one recording that is decoded already, like the input of the other contenders."""

    def __init__(self, samples: Samples, device: str) -> None:
        super().__init__(Path(), device)
        self._samples = samples

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        """Return the recording: mono ``[frames]`` at 16 kHz."""
        return self._samples, SAMPLE_RATE


def compare(setting: Setting) -> list[Comparison]:
    """Transcribe 1, 4 and 16 recordings of 30 s at once, then eight windows with every engine."""
    torch.set_num_threads(2)
    model = scripted_whisper("tiny", SIZE)
    recordings = noise_recordings(max(CONCURRENCY))
    rounds = setting.rounds(3)
    return [
        *(compare_concurrent(model, recordings[:count], rounds) for count in CONCURRENCY),
        _compare_engines(model, recordings[:WINDOWS], rounds),
    ]


def scripted_whisper(variant: str, size: Mapping[str, int]) -> whisper.Whisper:
    """Build a model that transcribes a fixed text in every window, about as long as real speech of 30 s."""
    return scripted_model(variant, **size, speech=_speech()).eval()


def noise_recordings(count: int) -> list[Samples]:
    """Generate different recordings of 30 s: mono ``[frames]`` at 16 kHz."""
    rng = np.random.default_rng(0)
    return [rng.normal(0, 0.1, SECONDS * SAMPLE_RATE).astype(np.float32) for _ in range(count)]


def compare_concurrent(model: whisper.Whisper, recordings: list[Samples], rounds: int) -> Comparison:
    """Transcribe recordings that all arrive at once; the rate is in seconds of speech per second."""
    contenders = {
        "whisper.transcribe, one at a time": partial(transcribe_each, model, recordings),
        "Audiograph": partial(together, MODEL, model, recordings),
    }
    title = f"Whisper, {len(recordings)} x {SECONDS} s of speech at once"
    return Comparison(title, alternate(contenders, rounds), SECONDS * len(recordings), "s of speech")


def _compare_engines(model: whisper.Whisper, recordings: list[Samples], rounds: int) -> Comparison:
    contenders: dict[str, Callable[[], object]] = {
        "whisper.transcribe, one at a time, language given": partial(
            transcribe_each, model, recordings, language="en"
        ),
        "whisper.decode, one batch": partial(_decode, model, recordings),
        "transformers generate, one batch": partial(_generate, to_transformers(model), recordings),
        "Audiograph": partial(together, MODEL, model, recordings, language="en"),
    }
    title = f"Whisper engines, {len(recordings)} windows"
    return Comparison(title, alternate(contenders, rounds), SECONDS * len(recordings), "s of speech")


def transcribe_each(model: whisper.Whisper, recordings: list[Samples], **options: str) -> None:
    """Transcribe recordings by `whisper.transcribe`, one after the other."""
    for samples in recordings:
        result = whisper.transcribe(model, samples, fp16=model.device.type == "cuda", **options)
        assert len(result["segments"]) == SENTENCES


def together(family: Whisper, model: whisper.Whisper, recordings: list[Samples], **fields: str) -> None:
    """Transcribe recordings that all arrive at once."""
    device = model.device.type
    tickets = [
        BareTicket(TranscribeRequest(file="talk", **fields), InMemory(samples, device))
        for samples in recordings
    ]
    serve(family, model, tickets, max(MIN_CAPACITY, len(tickets)))
    for ticket in tickets:
        assert isinstance(ticket.outcome, Output)
        assert len(ticket.outcome.result.model_dump()["segments"]) == SENTENCES


def _decode(model: whisper.Whisper, recordings: list[Samples]) -> None:
    results = whisper.decode(model, _mels(recordings), whisper.DecodingOptions(language="en", fp16=False))
    assert all(len(result.tokens) == SENTENCES * (WORDS + 2) for result in results)


def _generate(model: WhisperForConditionalGeneration, recordings: list[Samples]) -> None:
    with torch.inference_mode():
        tokens = model.generate(
            input_features=_mels(recordings), language="en", task="transcribe", return_timestamps=True
        )
    assert tokens.shape[1] >= SENTENCES * (WORDS + 2)


def _mels(recordings: list[Samples]) -> Tensor:
    """Stack the mel spectrograms of the recordings: ``[recordings, 80, 3000]``."""
    window = Window(0, SECONDS * 100)
    return torch.stack(
        [window_spectrogram(window, samples, bands=80, device="cpu") for samples in recordings]
    )


def _speech() -> list[tuple[float, str, float]]:
    """Return sentences as (start, text, end); every word is one token and occurs once."""
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
"""Parts of openai-whisper's names of weights, with transformers' names."""


def to_transformers(model: whisper.Whisper) -> WhisperForConditionalGeneration:
    """Convert a model to transformers, with the settings that `generate` needs."""
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
    converted = WhisperForConditionalGeneration(config).eval()
    weights = {f"model.{_renamed(name)}": weight for name, weight in model.state_dict().items()}
    missing = converted.load_state_dict(weights, strict=False).missing_keys
    assert missing == ["proj_out.weight"]  # it is tied to the embedding
    settings = converted.generation_config
    settings.is_multilingual = True
    settings.lang_to_id = {"<|en|>": tokenizer.to_language_token("en")}
    settings.task_to_id = {"transcribe": tokenizer.transcribe}
    settings.no_timestamps_token_id = tokenizer.no_timestamps
    settings.max_initial_timestamp_index = 50
    settings.begin_suppress_tokens = [220, tokenizer.eot]
    settings.suppress_tokens = []
    settings.max_length = dims.n_text_ctx
    return converted


def _renamed(name: str) -> str:
    return reduce(lambda renamed, pair: renamed.replace(*pair), NAMES.items(), name)
