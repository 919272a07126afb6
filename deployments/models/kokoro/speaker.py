"""Speaks the turns of a request, piece by piece."""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from audiograph.schemas import Segment, Turn
from deployments.audio.fades import PAUSE_SECONDS
from deployments.models.base import RunContext
from deployments.models.kit.dialogue import SpokenPart
from deployments.models.kit.espeak.process import installed_espeak
from deployments.models.kit.languages import find_language
from deployments.models.kit.speaking import STAGE, turns_of
from deployments.models.kit.speech_model import SpeechRequest
from deployments.models.kit.texts import naming_turn, too_long, unspeakable, without_control_characters
from deployments.models.kit.word_times import moved_segment
from deployments.models.kokoro.engine import Engine, Line, Utterance
from deployments.models.kokoro.narration import Narration
from deployments.models.kokoro.script import Piece, Script, script_of
from deployments.models.kokoro.timing import trimmed
from deployments.models.kokoro.voices import mixture


@dataclass(frozen=True, slots=True)
class Manner:
    """How the turns of a request are spoken."""

    voice: str
    """Of turns that name none."""
    speed: float
    """Factor of the pace, which the model applies itself."""
    stretch: float
    """Factor of the time-stretching that follows."""
    normalize: bool
    """Whether numbers, dates and so on are read as words."""
    timed: bool
    """Whether words are timed."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece that is being spoken, and its place in the request."""

    turn: int
    piece: Piece
    narration: Narration
    progress: float
    """Fraction of its turn that is spoken at its end."""


class Speaker:
    """Speaks the turns of one request.

    Args:
        engine: of the variant.
        request: checked.
        manner: of the request.
        max_seconds: limit of all turns together.
        context: of the run; receives each sentence as a partial result, if words are timed.
    """

    def __init__(
        self, engine: Engine, request: SpeechRequest, manner: Manner, max_seconds: float, context: RunContext
    ) -> None:
        self._engine = engine
        self._request = request
        self._manner = manner
        self._max_seconds = max_seconds
        self._context = context
        self._turns = turns_of(request)
        self._pending: deque[_Piece] = deque()
        self._parts: list[SpokenPart] = []
        self._start = 0.0  # of the turn, in seconds
        self._sent = 0

    def speak(self) -> list[SpokenPart]:
        """Speak the turns, a few sentences at a time.

        Raises:
            InvalidRequest: a text has nothing to speak, or all turns are longer than the limit.
            Canceled: the job was canceled.
        """
        self._context.progress(0.0, STAGE)
        speech = self._engine.speak(self._lines(), self._manner.speed, self._context.check)
        with closing(speech) as utterances:
            for utterance in utterances:
                self._add(self._pending.popleft(), utterance)
        return self._parts

    def _lines(self) -> Iterator[Line]:
        """Yield the lines of all turns, and remember where they belong."""
        for index, turn in enumerate(self._turns):
            with naming_turn(self._request, index):
                narration = Narration(self._script(turn))
            pieces = narration.script.pieces
            for number, piece in enumerate(pieces, 1):
                self._pending.append(_Piece(index, piece, narration, number / len(pieces)))
                yield Line(piece.symbols, mixture(self._voice(turn)))

    def _script(self, turn: Turn) -> Script:
        language = mixture(self._voice(turn)).language
        text = without_control_characters(turn.text)
        script = script_of(text, language, partial(_phonemes, language), normalize=self._manner.normalize)
        if not script.pieces:
            raise unspeakable(turn.text, "text")
        return script

    def _voice(self, turn: Turn) -> str:
        return turn.voice or self._manner.voice

    def _add(self, spoken: _Piece, utterance: Utterance) -> None:
        narration = spoken.narration
        if sentence := narration.add(trimmed(spoken.piece, utterance)):
            self._send(sentence)
        self._context.progress((spoken.turn + spoken.progress) / len(self._turns), STAGE)
        if self._start + narration.seconds > self._max_seconds:
            with naming_turn(self._request, spoken.turn):
                raise too_long(self._max_seconds, spoken.progress)
        if spoken.progress == 1:
            self._finish(self._turns[spoken.turn], narration)

    def _finish(self, turn: Turn, narration: Narration) -> None:
        segments = narration.segments if self._manner.timed else None
        self._parts.append(SpokenPart(self._voice(turn), turn.text, narration.samples(), segments))
        self._start += narration.seconds + PAUSE_SECONDS

    def _send(self, sentence: Segment) -> None:
        """Send a sentence and its words, with the times that they will have in the result."""
        if self._manner.timed:
            moved = moved_segment(sentence, self._start, self._manner.stretch)
            segment = moved.model_copy(update={"id": self._sent})
            self._context.partial({"segment": segment.model_dump(exclude_none=True)})
            self._sent += 1


def _phonemes(language: str, texts: Sequence[str]) -> list[str]:
    espeak = installed_espeak()
    voice = find_language(language, espeak.voices)
    assert voice is not None, language
    return espeak.phonemes(texts, voice=voice)
