"""Moves the times of words and sentences, when speech is joined to other speech or played faster."""

from audiograph.schemas import Segment, Word

DIGITS = 3
"""Decimal digits of times in results: milliseconds."""


def moved_word(word: Word, seconds: float, speed: float = 1.0) -> Word:
    """Return a word that many seconds later, in speech that is then played ``speed`` times as fast."""
    start, end = (round((time + seconds) / speed, DIGITS) for time in (word.start, word.end))
    return word.model_copy(update={"start": start, "end": end})


def moved_segment(segment: Segment, seconds: float, speed: float = 1.0) -> Segment:
    """Return a sentence with its words that many seconds later, and ``speed`` times as fast."""
    start, end = (round((time + seconds) / speed, DIGITS) for time in (segment.start, segment.end))
    words = segment.words and [moved_word(word, seconds, speed) for word in segment.words]
    return segment.model_copy(update={"start": start, "end": end, "words": words})
