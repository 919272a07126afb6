"""Pieces of music in the making: each has a row of the decoder, and its own length, seed and sampling.

MusicGen gives every frame (1/50 s) one token per codebook, delayed by one step more for each codebook, so
that a column of tokens belongs to as many frames (Copet et al. 2023, figure 1):

    column       0  1  2  3  4  5  6
    codebook 0   -  a  b  c  -  -  -      three frames, four codebooks; - is the padding token
    codebook 1   -  -  a  b  c  -  -
    codebook 2   -  -  -  a  b  c  -
    codebook 3   -  -  -  -  a  b  c

It was trained on 30 s. What is longer is made in windows: each continues the last frames of the one before.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from deployments.models.musicgen.decoder import Conditions, Decoder
from deployments.models.musicgen.sampling import RowSampling, Sampling

WINDOW_FRAMES = 1500
KEPT_FRAMES = 600
"""Of a window, how many frames the next one continues: 12 s, as in AudioCraft."""
UNKNOWN = -1
STEPS_AHEAD = 2
"""How far Python may be ahead of a GPU: further, and progress and cancellation would be fictions."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a piece shall be."""

    frames: int
    sampling: Sampling
    seed: int
    conditions: Callable[[int], Conditions]
    """Of the window that begins at a frame."""
    prompt: Any
    """What it begins with: int64 codes ``[codebooks, frames]``; None for nothing."""


@dataclass(slots=True)
class Piece:
    """A row at work."""

    order: Order
    generator: Any
    codes: list[Any] = field(default_factory=list)
    """Those of earlier windows: ``[codebooks, frames]``."""
    done_frames: int = 0
    """How many frames those are."""
    known: int = 0
    """Frames of this window that it began with."""
    length: int = 0
    """Frames of this window."""
    columns: int = 0
    """How many columns of this window, its delays included."""
    column: int = 0
    """Where the next tokens go."""
    prefix: int = 0
    """Positions of the decoder before the first column."""

    @property
    def progress(self) -> float:
        """The share of the frames that are made, 0..1."""
        now = min(self.column - 1, self.length) - (self.known if self.codes else 0)
        return min(1.0, (self.done_frames + max(0, now)) / self.order.frames)


class Composer:
    """Makes up to so many pieces at a time, one column of each in a step.

    Args:
        decoder: the transformer.
        delays: of each codebook, in columns.
        padding: the token where no frame is.
    """

    def __init__(self, decoder: Decoder, delays: list[int], padding: int) -> None:
        import torch

        self._decoder = decoder
        self._delays = delays
        self._padding = padding
        self._pieces: dict[int, Piece] = {}
        self._sampling = RowSampling(decoder.rows, decoder.device)
        columns = 1 + WINDOW_FRAMES + max(delays)
        shape = (decoder.rows, decoder.codebooks, columns)
        self._tokens = torch.full(shape, padding, device=decoder.device)
        self._uniforms = torch.zeros(shape, dtype=torch.float64, device=decoder.device)
        self._rows = torch.arange(decoder.rows, device=decoder.device)
        self._logits: Any = None
        self._ahead: deque[Any] = deque()

    def begin(self, order: Order) -> int:
        """Start a piece; gives its row."""
        import torch

        row = next(row for row in range(self._decoder.rows) if row not in self._pieces)
        piece = Piece(order, torch.Generator().manual_seed(order.seed))
        self._sampling.set(row, order.sampling)
        nothing = self._tokens[row, :, :0]
        self._begin_window(row, piece, nothing if order.prompt is None else order.prompt)
        self._pieces[row] = piece
        return row

    def progress(self, row: int) -> float:
        """The share of a piece that is made, 0..1."""
        return self._pieces[row].progress

    def drop(self, row: int) -> None:
        """Forget a piece."""
        del self._pieces[row]
        self._sampling.set(row, None)

    def step(self) -> dict[int, Any]:
        """One column further in every piece.

        Returns:
            The codes of the pieces that are now complete, ``[codebooks, frames]`` by row; they are dropped.
        """
        newest = self._choose()
        for piece in self._pieces.values():
            piece.column += 1
        ended = {row: piece for row, piece in self._pieces.items() if piece.column == piece.columns}
        if len(ended) < len(self._pieces):
            self._logits = self._decoder.step(newest, self._positions(ended))
        self._keep_pace()
        complete = {row: codes for row in ended if (codes := self._end_window(row)) is not None}
        for row in complete:
            self.drop(row)
        return complete

    def release(self) -> None:
        """Drop every piece, and give the decoder's memory back."""
        self._pieces.clear()
        self._decoder.release()

    def _choose(self) -> Any:
        """The next column ``[rows, codebooks]``: chosen tokens where the pattern leaves them open."""
        import torch

        columns = [
            self._pieces[row].column if row in self._pieces else 0 for row in range(self._decoder.rows)
        ]
        at = (self._rows, slice(None), torch.tensor(columns, device=self._decoder.device))
        pattern = self._tokens[at]
        chosen = self._sampling.choose(self._logits[0], self._logits[1], self._uniforms[at])
        newest = torch.where(pattern == UNKNOWN, chosen, pattern)
        self._tokens[at] = newest
        return newest

    def _positions(self, ended: dict[int, Piece]) -> list[int]:
        going = {row: piece for row, piece in self._pieces.items() if row not in ended}
        rows = range(self._decoder.rows)
        return [going[row].prefix + going[row].column - 1 if row in going else 0 for row in rows]

    def _begin_window(self, row: int, piece: Piece, known: Any) -> None:
        """Lay out the tokens of a window, and let the decoder read what of them is known."""
        import torch

        order = piece.order
        piece.known = known.shape[1]
        start = piece.done_frames - (piece.known if piece.codes else 0)
        piece.length = min(order.frames - start, WINDOW_FRAMES)
        piece.columns = 1 + piece.length + max(self._delays)
        piece.column = 1 + piece.known
        tokens = self._tokens[row]
        tokens.fill_(self._padding)
        for codebook, delay in enumerate(self._delays):
            tokens[codebook, 1 + delay : 1 + delay + piece.length] = UNKNOWN
            tokens[codebook, 1 + delay : 1 + delay + piece.known] = known[codebook]
        drawn = torch.rand(piece.columns, len(tokens), dtype=torch.float64, generator=piece.generator)
        self._uniforms[row, :, : piece.columns] = drawn.T.to(self._uniforms.device)
        conditions = order.conditions(start)
        piece.prefix = conditions.prefix_frames
        logits = self._decoder.begin(row, conditions, tokens[:, : piece.column].clamp(min=0))
        if self._logits is None:
            self._logits = logits.new_zeros(2, self._decoder.rows, *logits.shape[1:])
        self._logits[:, row] = logits

    def _end_window(self, row: int) -> Any:
        """Collect a window's codes; those of the whole piece if it was the last, else begin the next."""
        import torch

        piece = self._pieces[row]
        codes = torch.stack(
            [
                tokens[1 + delay : 1 + delay + piece.length]
                for tokens, delay in zip(self._tokens[row], self._delays, strict=True)
            ]
        )
        piece.codes.append(codes[:, piece.known :] if piece.codes else codes)
        piece.done_frames += piece.codes[-1].shape[1]
        if piece.done_frames >= piece.order.frames:
            return torch.cat(piece.codes, dim=1)
        self._begin_window(row, piece, codes[:, -KEPT_FRAMES:].clone())
        return None

    def _keep_pace(self) -> None:
        """Let Python be no more than two steps ahead of the GPU."""
        import torch

        if self._decoder.device.type != "cuda":
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._ahead.append(event)
        if len(self._ahead) > STEPS_AHEAD:
            self._ahead.popleft().synchronize()
