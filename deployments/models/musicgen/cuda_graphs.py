"""CUDA graphs of MusicGen's step: a thousand small kernels, launched at once.

Without them, a step of the large model takes about 12 ms of Python and dispatch, several times the time that
reading its weights takes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class StepGraphs:
    """Captured graphs of one step, by the number of positions that it attends to.

    A graph refers to addresses, so all tensors that the step reads and writes must stay where they are. If
    one moves, call `forget`.

    Args:
        step: computes logits from tokens ``[rows, codebooks]``, positions ``[rows]`` and the number of
            attended positions. It must not synchronize with the device, nor copy to or from it.
        tokens: an example, on the device.
        positions: an example, on the device.
    """

    def __init__(
        self, step: "Callable[[Tensor, Tensor, int], Tensor]", tokens: "Tensor", positions: "Tensor"
    ) -> None:
        import torch

        self._step = step
        self._tokens, self._positions = tokens.clone(), positions.clone()
        self._captured: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, tokens: "Tensor", positions: "Tensor", attended: int) -> "Tensor":
        """Run one step; the returned logits are valid until the next one."""
        self._tokens.copy_(tokens)
        self._positions.copy_(positions)
        if attended not in self._captured:
            self._captured[attended] = self._capture(attended)
        graph, logits = self._captured[attended]
        graph.replay()
        return logits

    def forget(self) -> None:
        """Drop all graphs, because an address in them is not valid any more."""
        self._captured.clear()

    def _capture(self, attended: int) -> "tuple[torch.cuda.CUDAGraph, Tensor]":
        import torch

        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            # Run once without capturing: libraries initialize themselves at their first call, which must not
            # be captured. The replay overwrites what this writes into the cache with the same values.
            self._step(self._tokens, self._positions, attended)
            self._stream.synchronize()
            # Other threads of the replica may allocate meanwhile: capture the calls of this thread alone.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            logits = self._step(self._tokens, self._positions, attended)
            graph.capture_end()
        current.wait_stream(self._stream)
        return graph, logits
