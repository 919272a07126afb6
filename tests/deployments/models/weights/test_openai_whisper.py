"""OpenAI's Whisper checkpoint, rebuilt from a CTranslate2 conversion."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import whisper
from numpy.typing import NDArray
from whisper.model import ModelDimensions

from deployments.models.weights.openai_whisper import rebuild_checkpoint

DIMENSIONS = ModelDimensions(80, 60, 8, 2, 12, 70, 10, 8, 2, 11)  # eleven layers: "10" comes before "2"

Arrays = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def original() -> dict[str, torch.Tensor]:
    """Random numbers of a Whisper of OpenAI's architecture, in half precision."""
    torch.manual_seed(0)
    weights = whisper.model.Whisper(DIMENSIONS).half().state_dict()
    return {name: torch.randn_like(weight) for name, weight in weights.items()}


@pytest.fixture
def converted(original: Mapping[str, torch.Tensor]) -> Arrays:
    """The same numbers as CTranslate2 stores them."""
    weights = {name: weight.numpy() for name, weight in original.items()}
    variables: Arrays = {
        "decoder/position_encodings/encodings": weights["decoder.positional_embedding"],
        "encoder/position_encodings/encodings": weights["encoder.positional_embedding"],
        "decoder/embeddings/weight": weights["decoder.token_embedding.weight"],
        "encoder/num_heads": np.array(DIMENSIONS.n_audio_head, np.int8),
        "decoder/num_heads": np.array(DIMENSIONS.n_text_head, np.int8),
    }

    def put(name: str, *modules: str, norm: bool = False) -> None:
        kinds = ("gamma", "beta") if norm else ("weight", "bias")
        zero = np.zeros(DIMENSIONS.n_audio_state, np.float16)  # OpenAI's key has no bias
        for ours, theirs in zip(kinds, ("weight", "bias"), strict=True):
            variables[f"{name}/{ours}"] = np.concatenate(
                [weights.get(f"{m}.{theirs}", zero) for m in modules]
            )

    put("encoder/conv1", "encoder.conv1")
    put("encoder/conv2", "encoder.conv2")
    put("encoder/layer_norm", "encoder.ln_post", norm=True)
    put("decoder/layer_norm", "decoder.ln", norm=True)
    for side, layers in (("encoder", DIMENSIONS.n_audio_layer), ("decoder", DIMENSIONS.n_text_layer)):
        for index in range(layers):
            to, block = f"{side}/layer_{index}", f"{side}.blocks.{index}"
            put(f"{to}/ffn/linear_0", f"{block}.mlp.0")
            put(f"{to}/ffn/linear_1", f"{block}.mlp.2")
            put(f"{to}/ffn/layer_norm", f"{block}.mlp_ln", norm=True)
            own, other = f"{block}.attn", f"{block}.cross_attn"
            put(f"{to}/self_attention/linear_0", f"{own}.query", f"{own}.key", f"{own}.value")
            put(f"{to}/self_attention/linear_1", f"{own}.out")
            put(f"{to}/self_attention/layer_norm", f"{block}.attn_ln", norm=True)
            if side == "decoder":
                put(f"{to}/attention/linear_0", f"{other}.query")
                put(f"{to}/attention/linear_1", f"{other}.key", f"{other}.value")
                put(f"{to}/attention/linear_2", f"{other}.out")
                put(f"{to}/attention/layer_norm", f"{block}.cross_attn_ln", norm=True)
    return variables


def write(variables: Arrays, folder: Path, specification: str = "WhisperSpec") -> list[Path]:
    """Write a model file of CTranslate2 in two parts."""
    types = {"float32": 0, "int8": 1, "float16": 4}
    content = struct.pack("<I", 6) + _text(specification) + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        kind = struct.pack("<BI", types[str(array.dtype)], array.nbytes)
        content += _text(name) + shape + kind + array.tobytes()
    content += struct.pack("<I", 1) + _text("decoder/projection/weight") + _text("decoder/embeddings/weight")
    parts = [folder / "part1", folder / "part2"]
    parts[0].write_bytes(content[:1000])
    parts[1].write_bytes(content[1000:])
    return parts


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def test_all_numbers_come_back_under_openais_names(
    original: Mapping[str, torch.Tensor], converted: Arrays, tmp_path: Path
) -> None:
    rebuild_checkpoint(write(converted, tmp_path), tmp_path / "toy.pt")
    checkpoint = torch.load(tmp_path / "toy.pt", weights_only=True)
    assert checkpoint["dims"] == vars(DIMENSIONS)
    rebuilt = checkpoint["model_state_dict"]
    assert rebuilt.keys() == original.keys()
    for name, weight in original.items():
        torch.testing.assert_close(rebuilt[name], weight, rtol=0, atol=0, msg=name)


def test_whisper_loads_the_rebuilt_file(converted: Arrays, tmp_path: Path) -> None:
    rebuild_checkpoint(write(converted, tmp_path), tmp_path / "toy.pt")
    assert whisper.load_model(str(tmp_path / "toy.pt"), device="cpu").dims == DIMENSIONS


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v.pop("encoder/conv2/weight"), "has no variable 'encoder/conv2/weight'"),
        (lambda v: v["decoder/layer_0/self_attention/linear_0/bias"].__setitem__(9, 1), "bias of key"),
    ],
)
def test_what_is_no_conversion_is_refused(
    change: Any, reason: str, converted: Arrays, tmp_path: Path
) -> None:
    change(converted)
    with pytest.raises(ValueError, match=reason):
        rebuild_checkpoint(write(converted, tmp_path), tmp_path / "toy.pt")


def test_another_model_is_refused_by_its_name(converted: Arrays, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a TransformerSpec, not a WhisperSpec"):
        rebuild_checkpoint(write(converted, tmp_path, "TransformerSpec"), tmp_path / "toy.pt")


@pytest.mark.parametrize("kept", [3, 500, 5000])
def test_a_file_that_is_cut_off_is_refused(kept: int, converted: Arrays, tmp_path: Path) -> None:
    parts = write(converted, tmp_path)
    content = (parts[0].read_bytes() + parts[1].read_bytes())[:kept]
    parts[0].write_bytes(content)
    with pytest.raises(ValueError, match=r"cut off|not a complete"):
        rebuild_checkpoint(parts[:1], tmp_path / "toy.pt")
