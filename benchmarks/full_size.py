"""Models of the published sizes with random weights, which are as fast as the published models."""

import torch
import transformers as hf
import whisper
from demucs.apply import BagOfModels
from demucs.htdemucs import HTDemucs

from benchmarks.whisper_speed import scripted_whisper
from deployments.models.demucs.tiny import SOURCES
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.tiny import CODEBOOK_SIZE, set_generation, tokenizer
from deployments.models.whisper.model import to_native_precision

WHISPER_LARGE = {"state": 1280, "heads": 20, "layers": 32}
MUSICGEN_LARGE = {"num_hidden_layers": 48, "hidden_size": 2048, "ffn_dim": 8192, "num_attention_heads": 32}
HTDEMUCS = {"bottom_channels": 512, "t_layers": 5}


def musicgen_large(device: str) -> MusicEngine:
    """Build facebook/musicgen-large: T5 base, 48 decoder layers of 2048, EnCodec at 32 kHz; in bfloat16."""
    text = hf.T5Config(
        vocab_size=32_128, d_model=768, d_kv=64, d_ff=3072, num_layers=12, num_heads=12, use_cache=False
    )
    codec = hf.EncodecConfig(
        sampling_rate=32_000,
        target_bandwidths=[2.2],
        num_filters=64,
        hidden_size=128,
        codebook_size=CODEBOOK_SIZE,
        codebook_dim=128,
        upsampling_ratios=[8, 5, 4, 4],
        num_lstm_layers=2,
        use_causal_conv=False,
        use_conv_shortcut=False,
    )
    decoder = hf.MusicgenDecoderConfig(
        vocab_size=CODEBOOK_SIZE, max_position_embeddings=2048, num_codebooks=4, **MUSICGEN_LARGE
    )
    config = hf.MusicgenConfig(text_encoder=text, audio_encoder=codec, decoder=decoder)
    with torch.device(device):
        model = hf.MusicgenForConditionalGeneration(config)
    set_generation(model.generation_config)
    return MusicEngine(model.eval().to(device, torch.bfloat16), tokenizer())


def whisper_large(device: str) -> whisper.Whisper:
    """Build Whisper large-v3 with half-precision matrices; it transcribes 103 tokens per window."""
    return to_native_precision(scripted_whisper("large-v3", WHISPER_LARGE).to(device))


def htdemucs(device: str) -> BagOfModels:
    """Build a bag of one HTDemucs model with 42 million parameters."""
    return BagOfModels([HTDemucs(SOURCES, segment=7.8, **HTDEMUCS)]).eval().to(device)
