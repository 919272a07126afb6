"""Stores the network's weights in fewer bits: half precision on a GPU, bfloat16 and 8-bit integers on a CPU.

On a CPU a step of the decoder takes about the time of reading its weights. So its linear layers and the
projection to the vocabulary are 8-bit integers, with a scale for each output; the encoder is bfloat16.
Inputs are never rounded to integers, and so no row of a batch changes another one. The residual stream, layer
norms and the choice among the best tokens stay in float32. docs/models.md says what that does to the words.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from whisper import Whisper as Network

Precision = Literal["reduced", "float32"]

INT8_MAX = 127
EXACT_CANDIDATES = 32
"""Best words of a step whose logits are computed again with the original weights."""
TIMESTAMPS = 1501
"""Tokens at the end of the vocabulary. Their logits are always exact: the rules of decoding add them up."""


def to_native_precision(model: "Network", precision: Precision | None = None) -> "Network":
    """Convert the weights, once, to what the model's device computes fastest with.

    Args:
        model: in float32.
        precision: on a CPU; None reduces it where the processor has instructions for bfloat16.
    """
    if model.device.type == "cuda":
        _halve(model)
    elif precision == "reduced" or (precision is None and _has_bfloat16()):
        _reduce(model)
    return model


def logits(model: "Network", hidden: "Tensor") -> "Tensor":
    """Project hidden states ``[rows, state]`` to float32 logits ``[rows, vocabulary]``."""
    reduced: Projection | None = getattr(model.decoder, "projection", None)
    if reduced is not None:
        return reduced(hidden)
    # A CPU reads the weights twice as fast in this order.
    plain: Tensor = (model.decoder.token_embedding.weight @ hidden.T).T.float().contiguous()
    return plain


@dataclass(frozen=True, slots=True)
class Projection:
    """The projection of hidden states to the vocabulary, with 8-bit weights and exact best tokens."""

    weight: "Tensor"
    """Float32 ``[vocabulary, state]``: of the token embedding, which the decoder needs anyway."""
    integers: "Tensor"
    scales: "Tensor"

    def __call__(self, hidden: "Tensor") -> "Tensor":
        """Return float32 logits ``[rows, vocabulary]`` of float32 hidden states ``[rows, state]``."""
        import torch

        result = torch._weight_int8pack_mm(hidden.bfloat16(), self.integers, self.scales).float()
        result[:, -TIMESTAMPS:] = hidden @ self.weight[-TIMESTAMPS:].T
        best = result[:, :-TIMESTAMPS].topk(EXACT_CANDIDATES, -1).indices
        exact = torch.einsum("rbs,rs->rb", self.weight[best], hidden)
        return result.scatter_(1, best, exact)


@dataclass(frozen=True, slots=True)
class Int8Linear:
    """A linear layer with 8-bit weights."""

    integers: "Tensor"
    """Int8 ``[outputs, inputs]``."""
    scales: "Tensor"
    """Bfloat16 ``[outputs]``."""
    bias: "Tensor | None"
    dtype: "torch.dtype"
    """Of the outputs."""

    def __call__(self, x: "Tensor") -> "Tensor":
        """Return outputs ``[..., outputs]`` of any floating-point inputs ``[..., inputs]``."""
        import torch

        y = torch._weight_int8pack_mm(x.reshape(-1, x.shape[-1]).bfloat16(), self.integers, self.scales)
        y = y.view(*x.shape[:-1], -1).to(self.dtype)
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True, slots=True)
class BFloat16Linear:
    """A linear layer in bfloat16."""

    weight: "Tensor"
    """``[outputs, inputs]``."""
    bias: "Tensor | None"
    dtype: "torch.dtype"
    """Of the outputs."""

    def __call__(self, x: "Tensor") -> "Tensor":
        """Return outputs ``[..., outputs]`` of any floating-point inputs ``[..., inputs]``."""
        from torch.nn import functional

        return functional.linear(x.bfloat16(), self.weight, self.bias).to(self.dtype)


@dataclass(frozen=True, slots=True)
class FeedForward:
    """Two linear layers with GELU between them."""

    widen: Int8Linear | BFloat16Linear
    narrow: Int8Linear | BFloat16Linear

    def __call__(self, x: "Tensor") -> "Tensor":
        """Return outputs of the shape of the inputs."""
        from torch.nn import functional

        return self.narrow(functional.gelu(self.widen(x)))


def _halve(model: "Network") -> None:
    """Convert to half precision; whisper itself converts the weights at every step."""
    from torch import nn

    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Embedding):
            module.half()


def _has_bfloat16() -> bool:
    import torch

    return bool(torch.cpu._is_avx512_bf16_supported())


def _reduce(model: "Network") -> None:
    import torch

    for block in model.encoder.blocks:
        _replace_layers(block, _bfloat16_linear, attended=torch.bfloat16)
    for block in model.decoder.blocks:  # its attention of a single token is slower in bfloat16
        _replace_layers(block, _int8_linear, attended=torch.float32)
    weight = model.decoder.token_embedding.weight.detach()
    model.decoder.projection = Projection(weight, *_quantized(weight))


def _replace_layers(block: Any, reduced: Any, *, attended: "torch.dtype") -> None:
    """Replace the linear layers of a block; `attended` is the type of queries, keys and values."""
    import torch

    for attention in (block.attn, block.cross_attn):
        if attention is not None:
            for name in ("query", "key", "value"):
                _replace(attention, name, reduced(getattr(attention, name), attended))
            _replace(attention, "out", reduced(attention.out, torch.float32))
    widen, _, narrow = block.mlp
    _replace(block, "mlp", FeedForward(reduced(widen, torch.bfloat16), reduced(narrow, torch.float32)))


def _replace(module: "nn.Module", name: str, layer: object) -> None:
    """Put a layer that is no module, and so has no parameters, in the place of one."""
    delattr(module, name)
    setattr(module, name, layer)


def _bfloat16_linear(layer: "nn.Linear", dtype: "torch.dtype") -> BFloat16Linear:
    bias = layer.bias.detach().bfloat16() if layer.bias is not None else None
    return BFloat16Linear(layer.weight.detach().bfloat16(), bias, dtype)


def _int8_linear(layer: "nn.Linear", dtype: "torch.dtype") -> Int8Linear:
    bias = layer.bias.detach().to(dtype) if layer.bias is not None else None
    return Int8Linear(*_quantized(layer.weight.detach()), bias, dtype)


def _quantized(weight: "Tensor") -> "tuple[Tensor, Tensor]":
    """Return int8 weights and the bfloat16 scale of each row, of float32 ``[outputs, inputs]``.

    Weights are divided by the scale as it is after rounding to bfloat16, so that its error is not added.
    """
    import torch

    scales = (weight.abs().amax(1) / INT8_MAX).clamp_min(torch.finfo(torch.float32).tiny).bfloat16()
    integers = (weight / scales.float()[:, None]).round().clamp(-INT8_MAX, INT8_MAX).to(torch.int8)
    return integers, scales
