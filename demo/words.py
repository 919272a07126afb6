"""Compares what was heard with what was said, word by word."""

from dataclasses import dataclass

import jiwer


@dataclass(frozen=True)
class Comparison:
    """The difference of two texts."""

    said: int
    """Number of words that were said."""
    errors: int
    """Words that were changed, left out or added."""
    differences: list[tuple[str, str]]
    """What was said and what was heard, where they differ."""

    @property
    def error_rate(self) -> float:
        """The word error rate: errors per word that was said."""
        return self.errors / self.said


def compare(said: str, heard: str) -> Comparison:
    """Compare two English texts, after Whisper's own normalization of spelling, numbers and punctuation.

    The alignment is that of jiwer: the fewest changed, left out and added words (Levenshtein 1966).
    """
    from whisper.normalizers import EnglishTextNormalizer  # noqa: PLC0415 - loads torch

    normalize = EnglishTextNormalizer()
    words = jiwer.process_words(normalize(said), normalize(heard))
    differences = [
        (
            " ".join(words.references[0][chunk.ref_start_idx : chunk.ref_end_idx]),
            " ".join(words.hypotheses[0][chunk.hyp_start_idx : chunk.hyp_end_idx]),
        )
        for chunk in words.alignments[0]
        if chunk.type != "equal"
    ]
    errors = words.substitutions + words.deletions + words.insertions
    return Comparison(len(words.references[0]), errors, differences)
