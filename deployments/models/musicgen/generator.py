"""Generates several sequences at a time: each has a row of the decoder, its own length, seed and sampling.

MusicGen represents every frame (1/50 s) by one token per codebook, and delays each codebook by one more step,
so that a column of tokens belongs to several frames (Copet et al. 2023, figure 1):

    column       0  1  2  3  4  5  6
    codebook 0   -  a  b  c  -  -  -      three frames, four codebooks; - is the padding token
    codebook 1   -  -  a  b  c  -  -
    codebook 2   -  -  -  a  b  c  -
    codebook 3   -  -  -  -  a  b  c

It was trained on 30 s. Longer music is generated in windows: each continues the end of the one before.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deployments.models.musicgen.decoder import Conditions, Decoder
from deployments.models.musicgen.sampling import RowSampling, Sampling

if TYPE_CHECKING:
    import torch
    from torch import Tensor

WINDOW_FRAMES = 1500
KEPT_FRAMES = 600
"""Frames at the end of a window that the next one continues: 12 s, as in AudioCraft."""
UNKNOWN = -1
"""Stands for a token that is still to be sampled."""
MAX_STEPS_AHEAD = 2
"""Steps that Python may queue on a GPU; more would make progress reports and cancellation lag."""


@dataclass(frozen=True, slots=True)
class GenerationParams:
    """Parameters of one sequence."""

    frames: int
    """Length, without the delays."""
    sampling: Sampling
    seed: int
    conditions: Callable[[int], Conditions]
    """Conditions of the window that begins at a frame."""
    prompt: "Tensor | None"
    """Codes to continue, int64 ``[codebooks, frames]``."""


@dataclass(slots=True)
class Sequence:
    """State of one row."""

    params: GenerationParams
    generator: "torch.Generator"
    codes: "list[Tensor]" = field(default_factory=list)
    """Codes of the completed windows, ``[codebooks, frames]``."""
    done_frames: int = 0
    """Frames of the completed windows."""
    known: int = 0
    """Frames of this window that were known at its beginning."""
    length: int = 0
    """Frames of this window."""
    columns: int = 0
    """Columns of this window, its delays included."""
    column: int = 0
    """Column of the next tokens."""
    prefix: int = 0
    """Positions of the decoder before the first column."""

    @property
    def progress(self) -> float:
        """The fraction of the frames that are generated, 0..1."""
        now = min(self.column - 1, self.length) - (self.known if self.codes else 0)
        return min(1.0, (self.done_frames + max(0, now)) / self.params.frames)


class Generator:
    """Generates sequences, one column of each in a step, in as many rows as the decoder has.

    Args:
        decoder: the transformer.
        delays: of each codebook, in columns.
        padding: the token of columns without a frame.
    """

    def __init__(self, decoder: Decoder, delays: list[int], padding: int) -> None:
        import torch

        self._decoder = decoder
        self._delays = delays
        self._padding = padding
        self._sequences: dict[int, Sequence] = {}
        self._sampling = RowSampling(decoder.rows, decoder.device)
        columns = 1 + WINDOW_FRAMES + max(delays)
        shape = (decoder.rows, decoder.codebooks, columns)
        self._tokens = torch.full(shape, padding, device=decoder.device)
        self._uniforms = torch.zeros(shape, dtype=torch.float64, device=decoder.device)
        self._rows = torch.arange(decoder.rows, device=decoder.device)
        self._logits: Tensor | None = None
        self._queued: deque[torch.cuda.Event] = deque()

    def begin(self, params: GenerationParams) -> int:
        """Begin a sequence in a free row, and return the row."""
        import torch

        row = next(row for row in range(self._decoder.rows) if row not in self._sequences)
        sequence = Sequence(params, torch.Generator().manual_seed(params.seed))
        no_codes = self._tokens[row, :, :0]
        self._begin_window(row, sequence, no_codes if params.prompt is None else params.prompt)
        self._sampling.set(row, params.sampling)  # not before: a failure leaves the row free
        self._sequences[row] = sequence
        return row

    def progress(self, row: int) -> float:
        """Return the fraction of a sequence that is generated, 0..1."""
        return self._sequences[row].progress

    def drop(self, row: int) -> None:
        """Free the row of a sequence, complete or not."""
        del self._sequences[row]
        self._sampling.set(row, None)

    def step(self) -> "dict[int, Tensor]":
        """Generate one column of every sequence.

        Returns:
            The codes ``[codebooks, frames]`` of the sequences that are now complete, by row; `drop` these
            before the next step.
        """
        newest = self._choose()
        for sequence in self._sequences.values():
            sequence.column += 1
        ended = {row for row, sequence in self._sequences.items() if sequence.column == sequence.columns}
        if len(ended) < len(self._sequences):
            self._logits = self._decoder.step(newest, self._positions(ended))
        self._limit_queue()
        return {row: codes for row in ended if (codes := self._end_window(row)) is not None}

    def release(self) -> None:
        """Drop every sequence, and free the decoder's memory."""
        self._sequences.clear()
        self._decoder.release()

    def _choose(self) -> "Tensor":
        """Return the next column ``[rows, codebooks]``; unknown tokens of the pattern are sampled."""
        import torch

        columns = [
            self._sequences[row].column if row in self._sequences else 0 for row in range(self._decoder.rows)
        ]
        at = (self._rows, slice(None), torch.tensor(columns, device=self._decoder.device))
        pattern = self._tokens[at]
        assert self._logits is not None
        chosen = self._sampling.choose(self._logits[0], self._logits[1], self._uniforms[at])
        newest = torch.where(pattern == UNKNOWN, chosen, pattern)
        self._tokens[at] = newest
        return newest

    def _positions(self, ended: set[int]) -> list[int]:
        """Return the decoder's position of the newest column, by row; 0 for rows without a sequence."""
        running = {row: sequence for row, sequence in self._sequences.items() if row not in ended}
        rows = range(self._decoder.rows)
        return [running[row].prefix + running[row].column - 1 if row in running else 0 for row in rows]

    def _begin_window(self, row: int, sequence: Sequence, known: "Tensor") -> None:
        """Lay out the tokens of a window, and run the decoder over the known ones."""
        import torch

        params = sequence.params
        sequence.known = known.shape[1]
        start = sequence.done_frames - (sequence.known if sequence.codes else 0)
        sequence.length = min(params.frames - start, WINDOW_FRAMES)
        sequence.columns = 1 + sequence.length + max(self._delays)
        sequence.column = 1 + sequence.known
        tokens = self._tokens[row]
        tokens.fill_(self._padding)
        for codebook, delay in enumerate(self._delays):
            tokens[codebook, 1 + delay : 1 + delay + sequence.length] = UNKNOWN
            tokens[codebook, 1 + delay : 1 + delay + sequence.known] = known[codebook]
        drawn = torch.rand(sequence.columns, len(tokens), dtype=torch.float64, generator=sequence.generator)
        self._uniforms[row, :, : sequence.columns] = drawn.T.to(self._uniforms.device)
        conditions = params.conditions(start)
        sequence.prefix = conditions.prefix_frames
        logits = self._decoder.prefill(row, conditions, tokens[:, : sequence.column].clamp(min=0))
        if self._logits is None:
            self._logits = logits.new_zeros(2, self._decoder.rows, *logits.shape[1:])
        self._logits[:, row] = logits

    def _end_window(self, row: int) -> "Tensor | None":
        """Collect a window's codes; return those of the whole sequence, or begin its next window."""
        import torch

        sequence = self._sequences[row]
        codes = torch.stack(
            [
                tokens[1 + delay : 1 + delay + sequence.length]
                for tokens, delay in zip(self._tokens[row], self._delays, strict=True)
            ]
        )
        sequence.codes.append(codes[:, sequence.known :] if sequence.codes else codes)
        sequence.done_frames += sequence.codes[-1].shape[1]
        if sequence.done_frames >= sequence.params.frames:
            return torch.cat(sequence.codes, dim=1)
        self._begin_window(row, sequence, codes[:, -KEPT_FRAMES:].clone())
        return None

    def _limit_queue(self) -> None:
        """Wait until at most `MAX_STEPS_AHEAD` steps are queued on the GPU."""
        import torch

        if self._decoder.device.type != "cuda":
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._queued.append(event)
        if len(self._queued) > MAX_STEPS_AHEAD:
            self._queued.popleft().synchronize()
