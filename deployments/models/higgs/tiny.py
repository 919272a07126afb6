"""Builds a tiny random Higgs Audio v2 of the true architecture: language model, processor and codec.

Its speech is noise at the true sample rate (24 kHz) and frame rate (25 Hz). Number and size of the codebooks
are the true ones. It ends by chance, after some 130 frames (5 s).
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.models.higgs.codec import codec_class
from deployments.models.kit.checkpoints import build_once

if TYPE_CHECKING:
    import torch
    from torch import nn

SEED = 0
REVISION = 1
"""Part of the folder's name; raise it with every change of the checkpoint."""

CODEBOOKS = 8
CODES = 1024
STREAM_BOS = 1024
STREAM_EOS = 1025
HIDDEN = 32
DOWNSAMPLING_RATIOS = [8, 5, 4, 2, 3]  # their product is 960, the samples per frame

BOS = "<|begin_of_text|>"
END = "<|end_of_text|>"
EOT = "<|eot_id|>"
AUDIO_BOS = "<|audio_out_bos|>"
AUDIO = "<|AUDIO_OUT|>"
DELAY = "<|reserved_special_token_6|>"
ADDITIONAL_TOKENS = [
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|scene_desc_start|>",
    "<|scene_desc_end|>",
    AUDIO_BOS,
    AUDIO,
    "<|audio_eos|>",
    DELAY,
]

CHAT_TEMPLATE = """\
{{- bos_token }}
{%- for message in messages %}
    {%- if message['role'] == 'scene' %}
        {{- '\\n\\n<|scene_desc_start|>\\n' + message['content'][0]['text'] + '\\n<|scene_desc_end|>' }}
    {%- else %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}
        {%- if message['role'] == 'assistant' %}
            {{- '<|audio_out_bos|><|AUDIO_OUT|><|audio_eos|>' }}
        {%- else %}
            {{- message['content'][0]['text'] }}
        {%- endif %}
    {%- endif %}
    {%- if loop.last or loop.nextitem['role'] != 'scene' %}
        {{- '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n<|audio_out_bos|>' }}
{%- endif %}"""
"""The part of the published template that the engine uses; the scene belongs to the system message."""


def build_checkpoint(folder: Path) -> Path:
    """Return the checkpoint's folder below `folder`, and build it first if it does not exist.

    It has the folders ``model`` and ``codec``.
    """
    return build_once(folder / f"higgs-{REVISION}", _write)


def _write(path: Path) -> None:
    import torch
    import transformers as hf

    text = tokenizer()
    extractor = hf.DacFeatureExtractor(sampling_rate=24_000, hop_length=1)
    generator = torch.Generator().manual_seed(SEED)
    for name, model in (("model", _language_model(text)), ("codec", _codec())):
        with torch.no_grad():
            _randomize(model, generator)
        model.save_pretrained(path / name)
    hf.HiggsAudioV2Processor(extractor, text, None, chat_template=CHAT_TEMPLATE).save_pretrained(
        path / "model"
    )


def _language_model(text: Any) -> Any:
    import transformers as hf

    token = text.convert_tokens_to_ids
    config = hf.HiggsAudioV2Config(
        vocab_size=len(text),
        hidden_size=HIDDEN,
        intermediate_size=2 * HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        num_codebooks=CODEBOOKS,
        codebook_size=CODES + 2,
        audio_stream_bos_id=STREAM_BOS,
        audio_stream_eos_id=STREAM_EOS,
        bos_token_id=token(BOS),
        pad_token_id=token(END),
        eos_token_id=token(EOT),
        audio_bos_token_id=token(AUDIO_BOS),
        audio_token_id=token(AUDIO),
        audio_delay_token_id=token(DELAY),
    )
    model = hf.HiggsAudioV2ForConditionalGeneration(config)
    _set_generation(model.generation_config, config)
    return model


def _set_generation(generation: Any, config: Any) -> None:
    """Set the generation parameters of the published checkpoint."""
    generation._from_model_config = False  # else the parameters of this model alone are not saved
    generation.bos_token_id, generation.pad_token_id = config.bos_token_id, config.pad_token_id
    generation.eos_token_id = config.eos_token_id
    generation.ras_win_len, generation.ras_win_max_num_repeat = 7, 2


def _codec() -> Any:
    import transformers as hf

    acoustic = {
        "model_type": "dac",
        "encoder_hidden_size": 4,
        "decoder_hidden_size": 64,
        "hidden_size": 16,
        "downsampling_ratios": DOWNSAMPLING_RATIOS,
        "upsampling_ratios": DOWNSAMPLING_RATIOS,
    }
    semantic = {
        "model_type": "hubert",
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "conv_dim": [16] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 4,
        "mask_time_prob": 0.0,
    }
    config = hf.HiggsAudioV2TokenizerConfig(
        target_bandwidths=[0.5, 1, 1.5, 2],  # up to eight codebooks
        acoustic_model_config=acoustic,
        semantic_model_config=semantic,
    )
    return codec_class()(config)


def _randomize(model: "nn.Module", generator: "torch.Generator") -> None:
    """Draw all weights from one generator: other threads may draw from torch's global one."""
    import torch

    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if parameter.dim() > 1 and not name.endswith(("original0", "alpha")):
            torch.nn.init.xavier_normal_(parameter, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
    for name, norm in parameters.items():
        if name.endswith("original0"):  # of weight normalization: the norms of the vectors in original1
            vectors = parameters[name.removesuffix("0") + "1"]
            norm.copy_(vectors.flatten(0, 1).norm(dim=0).view_as(norm))
    for name, codebook in model.named_buffers():
        if name.endswith("codebook.embed"):
            codebook.normal_(generator=generator)


def tokenizer() -> Any:
    """Build a tokenizer of bytes, with the control tokens of the published checkpoint."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    byte_level = Tokenizer(
        models.BPE(vocab={letter: rank for rank, letter in enumerate(alphabet)}, merges=[])
    )
    byte_level.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    byte_level.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=byte_level,
        bos_token=BOS,
        pad_token=END,
        eos_token=EOT,
        additional_special_tokens=ADDITIONAL_TOKENS,
    )
