"""MusicGen's step as CUDA graphs: a thousand small kernels, launched as a whole.

Eager, a step of the large model costs some 12 ms of Python and dispatch, several times what its weights take
to be read.
"""

from collections.abc import Callable
from typing import Any


class StepGraphs:
    """Captures of one step, by how far it looks back.

    A graph holds addresses. What the step reads and writes must stay where it is; where it cannot, `forget`.

    Args:
        step: takes tokens ``[rows, codebooks]``, positions ``[rows]`` and how many positions are attended,
            and gives logits. It may not wait for the device, nor copy anything to or from it.
        tokens: an example, on the device.
        positions: an example, on the device.
    """

    def __init__(self, step: Callable[[Any, Any, int], Any], tokens: Any, positions: Any) -> None:
        import torch

        self._step = step
        self._tokens, self._positions = tokens.clone(), positions.clone()
        self._captured: dict[int, tuple[Any, Any]] = {}
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def run(self, tokens: Any, positions: Any, attended: int) -> Any:
        """One step; its logits are valid until the next."""
        self._tokens.copy_(tokens)
        self._positions.copy_(positions)
        if attended not in self._captured:
            self._captured[attended] = self._capture(attended)
        graph, logits = self._captured[attended]
        graph.replay()
        return logits

    def forget(self) -> None:
        """Drop every capture: an address in them is no longer true."""
        self._captured.clear()

    def _capture(self, attended: int) -> tuple[Any, Any]:
        import torch

        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            # Once without: libraries set themselves up in it, which a capture may not hold. It writes into
            # the cache what the replay will write there again.
            self._step(self._tokens, self._positions, attended)
            self._stream.synchronize()
            # Other threads of the replica may allocate meanwhile: only this one's calls are captured.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            logits = self._step(self._tokens, self._positions, attended)
            graph.capture_end()
        current.wait_stream(self._stream)
        return graph, logits
