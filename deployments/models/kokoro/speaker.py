"""Speaks the turns of a request with the graph, one sentence after the other."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial

from audiograph.schemas import Segment, Turn
from deployments.audio.fades import PAUSE_SECONDS
from deployments.models.base import RunContext
from deployments.models.kit.dialogue import ProgressSlice, SpokenPart
from deployments.models.kit.espeak.process import installed_espeak
from deployments.models.kit.languages import find_language
from deployments.models.kit.texts import too_long, unspeakable, without_control_characters
from deployments.models.kit.word_times import moved_segment
from deployments.models.kokoro.engine import Engine
from deployments.models.kokoro.narration import Narration
from deployments.models.kokoro.script import Script, script_of
from deployments.models.kokoro.timing import trimmed
from deployments.models.kokoro.voices import mixture


@dataclass(frozen=True, slots=True)
class Manner:
    """How the turns of a request are spoken."""

    speed: float
    """Factor of the pace, which the model applies itself."""
    stretch: float
    """Factor of the time-stretching that follows."""
    normalize: bool
    """Whether numbers, dates and so on are read as words."""
    timed: bool
    """Whether words are timed."""


class Speaker:
    """Speaks the turns of one request, in order.

    Args:
        engine: of the variant.
        manner: of the request.
        context: of the run; receives each sentence as a partial result, if words are timed.
        max_seconds: limit of all turns together.
    """

    def __init__(self, engine: Engine, manner: Manner, context: RunContext, max_seconds: float) -> None:
        self.parts: list[SpokenPart] = []
        """The turns that are spoken."""
        self._engine = engine
        self._manner = manner
        self._context = context
        self._max_seconds = max_seconds
        self._start = 0.0  # of the turn, in seconds
        self._sent = 0

    def speak(self, turn: Turn, voice: str, progress: ProgressSlice) -> None:
        """Speak a turn, and add it to `parts`.

        Raises:
            InvalidRequest: the text has nothing to speak, or all turns are longer than the limit.
            Canceled: the job was canceled.
        """
        narration = Narration(self._script(turn.text, voice))
        if not narration.script.pieces:
            raise unspeakable(turn.text, "text")
        self._narrate(narration, voice, progress)
        segments = narration.segments if self._manner.timed else None
        self.parts.append(SpokenPart(voice, turn.text, narration.samples(), segments))
        self._start += narration.seconds + PAUSE_SECONDS

    def _narrate(self, narration: Narration, voice: str, progress: ProgressSlice) -> None:
        pieces = narration.script.pieces
        symbols = [piece.symbols for piece in pieces]
        progress.report(0.0)
        with closing(
            self._engine.speak(symbols, mixture(voice), self._manner.speed, progress.check)
        ) as utterances:
            for number, (piece, utterance) in enumerate(zip(pieces, utterances, strict=True), 1):
                if sentence := narration.add(trimmed(piece, utterance)):
                    self._send(sentence)
                progress.report(number / len(pieces))
                if self._start + narration.seconds > self._max_seconds:
                    raise too_long(self._max_seconds, number / len(pieces))

    def _script(self, text: str, voice: str) -> Script:
        language = mixture(voice).language
        clean = without_control_characters(text)
        phonemize = partial(_phonemes, language)
        return script_of(clean, language, phonemize, normalize=self._manner.normalize)

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
