"""Joins the pieces of a text to one track, and times its sentences and words."""

import numpy as np

from audiograph.schemas import Segment, Word
from deployments.models.base import Samples
from deployments.models.kit.word_times import DIGITS, moved_word
from deployments.models.kokoro.engine import SAMPLE_RATE
from deployments.models.kokoro.script import Piece, Script
from deployments.models.kokoro.timing import SpokenPiece


class Narration:
    """The track of a script, as far as it is spoken.

    Args:
        script: whose pieces are added in order.
    """

    def __init__(self, script: Script) -> None:
        self.segments: list[Segment] = []
        """The complete sentences with their words, in seconds of the track."""
        self.script = script
        self._parts: list[Samples] = []
        self._frames = 0
        self._added = 0
        self._start = 0.0
        self._words: list[Word] = []

    @property
    def seconds(self) -> float:
        """The duration so far."""
        return self._frames / SAMPLE_RATE

    def add(self, spoken: SpokenPiece) -> Segment | None:
        """Append the next piece, after a pause; return its sentence if it is complete."""
        piece = self.script.pieces[self._added]
        if self._added:
            pause = self.script.pieces[self._added - 1].pause
            self._append(np.zeros(round(pause * SAMPLE_RATE), np.float32))
        if not self._words:
            self._start = self.seconds
        self._words += [moved_word(word, self.seconds) for word in spoken.words]
        self._append(spoken.samples)
        self._added += 1
        return self._complete(piece) if self._ends_sentence(piece) else None

    def samples(self) -> Samples:
        """Return the track, mono ``[frames]``."""
        return np.concatenate([np.zeros(0, np.float32), *self._parts])

    def _append(self, samples: Samples) -> None:
        self._parts.append(samples)
        self._frames += len(samples)

    def _ends_sentence(self, piece: Piece) -> bool:
        rest = self.script.pieces[self._added :]
        return not rest or rest[0].sentence != piece.sentence

    def _complete(self, piece: Piece) -> Segment:
        segment = Segment(
            id=len(self.segments),
            start=round(self._start, DIGITS),
            end=round(self.seconds, DIGITS),
            text=self.script.sentences[piece.sentence],
            words=self._words,
        )
        self.segments.append(segment)
        self._words = []
        return segment
