"""Builds tiny Whisper checkpoints of the published architecture, whose text says that they are not trained.

A purely random Whisper decodes 224 tokens of noise per window, and again at every temperature. In these
checkpoints the last MLP of the decoder is a lookup table from one token to the next, so that every window has
the same short text for any recording, language, prompt and temperature. Everything else is random: the
encoder, every attention, and therefore the times of words.
"""

import tempfile
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from whisper import Whisper as Network
    from whisper.tokenizer import Tokenizer

SPEECH = (
    (0.0, " These words come from random weights,", 1.4),
    (1.6, " and are not a transcription.", 2.6),
)
"""Text of every window of 30 s: start in seconds, text, end in seconds. Each token occurs at most once."""

MULTILINGUAL = 51865
"""Size of the vocabulary."""
WITH_CANTONESE = MULTILINGUAL + 1
"""Size of the vocabulary of large-v3 and turbo, which have one more language."""

VARIANTS: Mapping[str, tuple[int, int]] = {
    "tiny": (80, MULTILINGUAL),
    "base": (80, MULTILINGUAL),
    "small": (80, MULTILINGUAL),
    "medium": (80, MULTILINGUAL),
    "large-v3": (128, WITH_CANTONESE),
    "turbo": (128, WITH_CANTONESE),
}
"""Number of mel bands and size of the vocabulary of each variant, as in the published checkpoint."""

STATE = 32
"""Width of encoder and decoder."""
HEADS = 2
"""Attention heads of each layer."""
LAYERS = 2
"""Layers of the encoder, and of the decoder."""
SEED = 0
REVISION = 1
"""Part of the file's name; increase it with every change of the checkpoint."""

EMBEDDING_NORM = 8.0
"""Length of an embedding; keeps every other token about 40 nats below the next one of the text."""
GATE_THRESHOLD = 4.0
"""Above the noise of other dimensions after layer norm, and below its one-hot peak of sqrt(31)."""
TABLE_WEIGHT = 100.0
"""Weight of the next token in the table; far above the embedding of the previous one."""


def build_checkpoint(variant: str, folder: Path) -> Path:
    """Return the path of a variant's checkpoint in a folder; build it if it does not exist.

    The file appears complete or not at all, and always has the same content, so that replicas may build it
    at the same time.
    """
    path = folder / f"whisper-{variant}-{REVISION}.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(scripted_model(variant), path)
    return path


def _write(model: "Network", path: Path) -> None:
    import torch

    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        part = Path(scratch) / path.name
        torch.save({"dims": vars(model.dims), "model_state_dict": model.state_dict()}, part)
        part.replace(path)


def scripted_model(
    variant: str,
    *,
    state: int = STATE,
    heads: int = HEADS,
    layers: int = LAYERS,
    speech: Iterable[tuple[float, str, float]] = SPEECH,
) -> "Network":
    """Build a network that decodes the same text from every window.

    Args:
        variant: one of `VARIANTS`, for the mel bands and the vocabulary.
        state: width of encoder and decoder; at least the number of tokens in the speech.
        heads: attention heads of each layer.
        layers: number of layers of the encoder, and of the decoder.
        speech: texts with their times, in the form of `SPEECH`.
    """
    import torch

    from whisper import ModelDimensions, Whisper
    from whisper.tokenizer import get_tokenizer

    n_mels, n_vocab = VARIANTS[variant]
    dims = ModelDimensions(
        n_mels=n_mels,
        n_audio_ctx=1500,
        n_audio_state=state,
        n_audio_head=heads,
        n_audio_layer=layers,
        n_vocab=n_vocab,
        n_text_ctx=448,
        n_text_state=state,
        n_text_head=heads,
        n_text_layer=layers,
    )
    model = Whisper(dims)
    with torch.no_grad():
        _randomize(model)
        tokenizer = get_tokenizer(True, num_languages=model.num_languages)
        _write_table(model, _successors(tokenizer, speech))
    return model


def _randomize(model: "Network") -> None:
    """Draw every matrix from its own generator, because other threads may draw from torch's global one."""
    import torch

    generator = torch.Generator(model.device).manual_seed(SEED)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.xavier_normal_(parameter, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()


def _successors(tokenizer: "Tokenizer", speech: Iterable[tuple[float, str, float]]) -> dict[int, int]:
    """Return the successor of each token of the start sequence and the text; the language is English."""
    script: list[int] = []
    for start, text, end in speech:
        script += [_timestamp(tokenizer, start), *tokenizer.encode(text), _timestamp(tokenizer, end)]
    script.append(tokenizer.eot)
    return {
        tokenizer.sot: tokenizer.to_language_token("en"),
        tokenizer.transcribe: script[0],
        tokenizer.translate: script[0],
        tokenizer.no_timestamps: script[1],
        **dict(pairwise(script)),
    }


def _timestamp(tokenizer: "Tokenizer", seconds: float) -> int:
    return int(tokenizer.timestamp_begin) + round(seconds / 0.02)


def _write_table(model: "Network", successors: Mapping[int, int]) -> None:
    """Write a lookup table into the decoder: one dimension per token, and an MLP that maps each to the next.

    Nothing depends on the position, so that a prompt of any length may precede.
    """
    import torch

    decoder = model.decoder
    axis = {token: n for n, token in enumerate(sorted({*successors, *successors.values()}))}
    decoder.positional_embedding.zero_()
    decoder.token_embedding.weight.zero_()
    for token, n in axis.items():
        decoder.token_embedding.weight[token, n] = EMBEDDING_NORM
    for block in decoder.blocks:
        for layer in (block.attn.out, block.cross_attn.out, block.mlp[2]):
            layer.weight.zero_()
            layer.bias.zero_()
    gate, _, table = decoder.blocks[-1].mlp
    gate.weight.zero_()
    width = len(decoder.ln.weight)
    gate.weight[:width] = torch.eye(width)
    gate.bias.fill_(-GATE_THRESHOLD)
    for token, successor in successors.items():
        table.weight[axis[successor], axis[token]] = TABLE_WEIGHT
