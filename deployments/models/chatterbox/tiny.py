"""A tiny random Chatterbox checkpoint of the true architecture, with the voice that comes with it.

What it makes is noise of some seconds, whatever the text, at the true sample rate (24 kHz) and token rate
(25 Hz). The package has the sizes of its networks in its code, so they are `reduced` there for as long as a
tiny checkpoint is built or loaded.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from deployments.models.kit.checkpoints import build_once

SEED = 0
REVISION = 1
"""Part of the folder's name: raise it with every change of what is built."""

HIDDEN = 64
TRANSFORMER = {
    "hidden_size": HIDDEN,
    "intermediate_size": 2 * HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": HIDDEN // 4,
}
SIZES: dict[str, dict[str, Any]] = {
    "t3.modules.cond_enc:Perceiver": {"pre_attention_query_size": HIDDEN, "embedding_dim": HIDDEN},
    "s3gen.transformer.upsample_encoder:PreLookaheadLayer": {"channels": HIDDEN},
    "s3gen.transformer.upsample_encoder:Upsample1D": {"channels": HIDDEN, "out_channels": HIDDEN},
    "s3gen.s3gen:UpsampleConformerEncoder": {
        "input_size": HIDDEN,
        "output_size": HIDDEN,
        "attention_heads": 2,
        "linear_units": HIDDEN,
        "num_blocks": 1,
    },
    "s3gen.s3gen:CausalMaskedDiffWithXvec": {"input_size": HIDDEN},
    "s3gen.s3gen:ConditionalDecoder": {
        "channels": [HIDDEN],
        "n_blocks": 1,
        "num_mid_blocks": 1,
        "num_heads": 2,
        "attention_head_dim": 16,
    },
    "s3gen.s3gen:CAMPPlus": {"growth_rate": 4, "init_channels": 16},
    "s3gen.s3gen:ConvRNNF0Predictor": {"cond_channels": 32},
    "s3gen.s3gen:HiFTGenerator": {"base_channels": 32},
}
"""What is given to these classes of ``chatterbox.models`` in place of the true sizes."""

LETTERS = "etaoinshrdlucmfwypvbgkjqxzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'-\""
START = 255
"""Of a text, in the published vocabulary."""

SPOKEN_TOKENS, END_OF_SPEECH = 512, 6562
"""The first so many tokens are drawn, and the last of these, but no others."""
STEADY = 8.0
"""What the transformer always finds in the first dimension, from which it knows what to draw."""
NEVER, AT_TIMES = -10.0, 0.21
"""What is made of it: that other tokens are not drawn, and the end some times as often as each of these."""

LEVEL = 0.3
"""Of the sound, against what the vocoder would make of random weights."""

_reducing = threading.Lock()


def build_checkpoint(folder: Path) -> Path:
    """The folder of the checkpoint within `folder`, built if it is not there."""
    return build_once(folder / f"chatterbox-{REVISION}", _write)


@contextmanager
def reduced() -> Iterator[None]:
    """Make the package build its networks in tiny sizes; for one caller at a time."""
    with _reducing, ExitStack() as stack:
        for owner, name, value in _replacements():
            stack.enter_context(_replaced(owner, name, value))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _replacements() -> Iterator[tuple[Any, str, Any]]:
    from s3tokenizer.model_v2 import ModelConfig, S3TokenizerV2

    for path, sizes in SIZES.items():
        module_name, _, name = path.partition(":")
        module = import_module(f"chatterbox.models.{module_name}")
        yield module, name, _smaller(getattr(module, name), sizes)
    config = ModelConfig(n_audio_state=HIDDEN, n_audio_head=1, n_audio_layer=1)
    yield S3TokenizerV2, "__init__", _smaller(S3TokenizerV2.__init__, {"config": config})
    for module_name in ("t3.t3", "t3.modules.t3_config"):
        module = import_module(f"chatterbox.models.{module_name}")
        configs = {name: config | TRANSFORMER for name, config in module.LLAMA_CONFIGS.items()}
        yield module, "LLAMA_CONFIGS", configs


def _smaller(make: Callable[..., Any], sizes: dict[str, Any]) -> Callable[..., Any]:
    return lambda *args, **given: make(*args, **{**given, **sizes})


def _write(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.t3 import T3
    from chatterbox.models.voice_encoder import VoiceEncoder

    generator = torch.Generator().manual_seed(SEED)
    with reduced():
        models = {"t3_cfg": T3(), "s3gen": S3Gen(), "ve": VoiceEncoder()}
    path.mkdir()
    with torch.no_grad():
        for model in models.values():
            _randomize(model, generator)
        _end_soon(models["t3_cfg"])
        _soften(models["s3gen"].mel2wav)
    for name, model in models.items():
        weights = {key: tensor.contiguous().clone() for key, tensor in model.state_dict().items()}
        save_file(weights, path / f"{name}.safetensors")
    _tokenizer().save(str(path / "tokenizer.json"))
    _voice(generator).save(path / "conds.pt")


def _randomize(model: Any, generator: Any) -> None:
    """Draw every matrix from a generator of its own, since other threads may be drawing from torch's."""
    import torch

    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if "bias" in name.rpartition(".")[2]:
            parameter.zero_()
        elif parameter.dim() > 1 and not name.endswith("original0"):
            torch.nn.init.xavier_normal_(parameter, generator=generator)
    for name, length in parameters.items():
        if name.endswith("original0"):  # weight normalization: the lengths of the vectors in original1
            vectors = parameters[name.removesuffix("0") + "1"]
            length.copy_(vectors.flatten(1).norm(dim=1).view_as(length))


def _end_soon(t3: Any) -> None:
    """Speech of random tokens ends by itself, after some seconds."""
    t3.speech_emb.weight[:, 0] = STEADY
    t3.speech_pos_emb.emb.weight[:, 0] = 0
    for layer in t3.tfmr.layers:
        layer.self_attn.o_proj.weight[0] = 0
        layer.mlp.down_proj.weight[0] = 0
    likely = t3.speech_head.weight[:, 0]
    likely.fill_(NEVER)
    likely[:SPOKEN_TOKENS] = 0
    likely[END_OF_SPEECH] = AT_TIMES


def _soften(vocoder: Any) -> None:
    """Noise as loud as speech: of what the last layer makes, the first half is the spectrum's logarithm."""
    bias = vocoder.conv_post.bias
    bias[: len(bias) // 2] = math.log(LEVEL)


def _tokenizer() -> Any:
    """Of letters, with the marks of the published vocabulary at their places."""
    from tokenizers import Tokenizer, models

    marks = ["[STOP]", "[UNK]", "[SPACE]"]
    known = [*marks, *LETTERS]
    unused = [f"[UNUSED{number}]" for number in range(len(known), START)]
    vocabulary = {token: rank for rank, token in enumerate([*known, *unused, "[START]"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))
    tokenizer.add_special_tokens([*marks, "[START]"])
    return tokenizer


def _voice(generator: Any) -> Any:
    """Of somebody who was never heard: as if taken from a recording of 6 s."""
    import torch

    from chatterbox.models.t3.modules.cond_enc import T3Cond
    from chatterbox.tts import Conditionals

    def normal(*shape: int) -> Any:
        return torch.randn(shape, generator=generator)

    tokens = torch.randint(SPOKEN_TOKENS, (1, 150), generator=generator)
    speaker = torch.nn.functional.normalize(normal(1, 256))
    heard = T3Cond(speaker, cond_prompt_speech_tokens=tokens, emotion_adv=torch.full((1, 1, 1), 0.5))
    sounds = {
        "prompt_token": tokens,
        "prompt_token_len": torch.tensor([150]),
        "prompt_feat": normal(1, 300, 80),
        "prompt_feat_len": None,
        "embedding": normal(1, 192),
    }
    return Conditionals(heard, sounds)
