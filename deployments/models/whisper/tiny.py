"""Tiny Whisper checkpoints of the true architecture, which say of themselves that they are not trained.

A purely random Whisper decodes 224 tokens of noise per window, again at every temperature of the ladder.
In these the decoder is a lookup table from a token to the next one, kept in its last MLP, so that every
window ends after some twenty tokens with the same sentence, whatever the recording, the language, the prompt
and the temperature. All else (the encoder, every attention, and with them the times of words) is random.
"""

import tempfile
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

SPEECH = (
    (0.0, " These words come from random weights,", 1.4),
    (1.6, " and are not a transcription.", 2.6),
)
"""What is heard in every window of 30 s: start in seconds, text, end. No token may come twice."""

MULTILINGUAL, WITH_CANTONESE = 51865, 51866
"""Sizes of the vocabulary: large-v3 and turbo know one language more."""

VARIANTS: Mapping[str, tuple[int, int]] = {
    "tiny": (80, MULTILINGUAL),
    "base": (80, MULTILINGUAL),
    "small": (80, MULTILINGUAL),
    "medium": (80, MULTILINGUAL),
    "large-v3": (128, WITH_CANTONESE),
    "turbo": (128, WITH_CANTONESE),
}
"""Mel bands and size of the vocabulary of each variant, as in the published checkpoint."""

STATE, HEADS, LAYERS = 32, 2, 2
SEED = 0
REVISION = 1
"""Part of the file's name: raise it with every change of what is built."""

PEAK = 8.0  # length of an embedding: leaves every other token some 40 nats below the next one of the script
GATE = 4.0  # above any noise that layer norm makes of other dimensions, below its one-hot peak of sqrt(31)
PUSH = 100.0  # what the table adds for the next token, well over the embedding of the previous one


def build_checkpoint(variant: str, folder: Path) -> Path:
    """The checkpoint of a variant in ``folder``, built if it is not there.

    Written whole or not at all, and always with the same content, so that replicas may build at once.
    """
    path = folder / f"whisper-{variant}-{REVISION}.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(scripted_model(variant), path)
    return path


def _write(model: Any, path: Path) -> None:
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
) -> Any:
    """A `whisper.model.Whisper` that hears the same in every window, of any size.

    Args:
        variant: one of `VARIANTS`, whose mel bands and vocabulary it has.
        state: width of encoder and decoder; at least as many as there are tokens in the speech.
        heads: attention heads of each layer.
        layers: layers of the encoder, and of the decoder.
        speech: as `SPEECH`.
    """
    import torch

    from whisper.model import ModelDimensions, Whisper
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
        _teach(model.decoder, _successors(get_tokenizer(True, num_languages=model.num_languages), speech))
    return model


def _randomize(model: Any) -> None:
    """Draw every matrix from a generator of its own, since other threads may be drawing from torch's."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.xavier_normal_(parameter, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()


def _successors(tokenizer: Any, speech: Iterable[tuple[float, str, float]]) -> dict[int, int]:
    """Which token follows which; the language is always English."""
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


def _timestamp(tokenizer: Any, seconds: float) -> int:
    return int(tokenizer.timestamp_begin) + round(seconds / 0.02)


def _teach(decoder: Any, successors: Mapping[int, int]) -> None:
    """Turn a decoder into the table: one dimension per token, and an MLP that maps one onto the next.

    Nothing depends on the position, so that a prompt of any length may come before.
    """
    import torch

    axis = {token: n for n, token in enumerate(sorted({*successors, *successors.values()}))}
    decoder.positional_embedding.zero_()
    decoder.token_embedding.weight.zero_()
    for token, n in axis.items():
        decoder.token_embedding.weight[token, n] = PEAK
    for block in decoder.blocks:
        for layer in (block.attn.out, block.cross_attn.out, block.mlp[2]):
            layer.weight.zero_()
            layer.bias.zero_()
    gate, _, table = decoder.blocks[-1].mlp
    gate.weight.zero_()
    width = len(decoder.ln.weight)
    gate.weight[:width] = torch.eye(width)
    gate.bias.fill_(-GATE)
    for token, successor in successors.items():
        table.weight[axis[successor], axis[token]] = PUSH
