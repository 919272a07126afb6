"""Models of the published sizes with random weights, which are as fast as the published models.

Tiny ones are built by the same code, to check that it runs.
"""

import torch
import transformers as hf
import whisper
from demucs.apply import BagOfModels
from demucs.htdemucs import HTDemucs

from benchmarks.whisper_speed import scripted_whisper
from deployments.models.demucs.tiny import HYBRID_TRANSFORMER, SOURCES
from deployments.models.musicgen.engine import MusicEngine
from deployments.models.musicgen.tiny import CODEBOOK_SIZE, set_generation, tokenizer
from deployments.models.whisper.precision import to_native_precision

WHISPER_LARGE = {"state": 1280, "heads": 20, "layers": 32}
WHISPER_TINY = {"state": 128, "heads": 2, "layers": 2}
MUSICGEN_LARGE = {"num_hidden_layers": 48, "hidden_size": 2048, "ffn_dim": 8192, "num_attention_heads": 32}
MUSICGEN_TINY = {"num_hidden_layers": 2, "hidden_size": 32, "ffn_dim": 64, "num_attention_heads": 4}
T5_BASE = {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12}
T5_TINY = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
ENCODEC = {"num_filters": 64, "hidden_size": 128, "codebook_dim": 128, "num_lstm_layers": 2}
ENCODEC_TINY = {"num_filters": 4, "hidden_size": 16, "codebook_dim": 16, "num_lstm_layers": 1}
HTDEMUCS = {"segment": 7.8, "bottom_channels": 512, "t_layers": 5}


def musicgen_large(device: str, *, tiny: bool = False) -> MusicEngine:
    """Build facebook/musicgen-large: T5 base, 48 decoder layers of 2048, EnCodec at 32 kHz.

    The precision is that of a loaded checkpoint: bfloat16 on a GPU.
    """
    text = hf.T5Config(vocab_size=32_128, use_cache=False, **(T5_TINY if tiny else T5_BASE))
    codec = hf.EncodecConfig(
        sampling_rate=32_000,
        target_bandwidths=[2.2],
        codebook_size=CODEBOOK_SIZE,
        upsampling_ratios=[8, 5, 4, 4],
        use_causal_conv=False,
        use_conv_shortcut=False,
        **(ENCODEC_TINY if tiny else ENCODEC),
    )
    decoder = hf.MusicgenDecoderConfig(
        vocab_size=CODEBOOK_SIZE,
        max_position_embeddings=2048,
        num_codebooks=4,
        **(MUSICGEN_TINY if tiny else MUSICGEN_LARGE),
    )
    config = hf.MusicgenConfig(text_encoder=text, audio_encoder=codec, decoder=decoder)
    with torch.device(device):
        model = hf.MusicgenForConditionalGeneration(config)
    set_generation(model.generation_config)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    return MusicEngine(model.eval().to(device, dtype), tokenizer())


def whisper_large(device: str, *, tiny: bool = False) -> whisper.Whisper:
    """Build Whisper large-v3, on a GPU with half-precision matrices; it transcribes 103 tokens per window."""
    with torch.device(device):  # there its 1.5 billion numbers are drawn at once
        model = scripted_whisper("large-v3", WHISPER_TINY if tiny else WHISPER_LARGE)
    return to_native_precision(model, "float32")  # on a CPU, where openai-whisper runs nothing else


def htdemucs(device: str, *, tiny: bool = False) -> BagOfModels:
    """Build a bag of one HTDemucs model, with 42 million parameters unless it is tiny."""
    model = HTDemucs(SOURCES, **(HYBRID_TRANSFORMER if tiny else HTDEMUCS))
    return BagOfModels([model]).eval().to(device)
