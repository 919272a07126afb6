# ruff: noqa: RUF001  # phonemes and marks
"""Divides a text into the pieces that are spoken one after the other, each with the symbols of its words.

A piece is a sentence; one that is too long for a run is divided at clauses, and a clause at words.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from deployments.models.kokoro.phonemes import locate, symbols_of
from deployments.models.kokoro.reading import Reading, read
from deployments.models.kokoro.symbols import MARKS
from deployments.models.sentences import sentences

MAX_PIECE = 200
"""Symbols of a piece, of some 12 s and 300 MB: memory grows with the longest one. A run may have 510."""
MAX_CLAUSE = 300
"""Letters of a clause; a longer one is divided at words, and a longer word anywhere."""
SENTENCE_PAUSE, CLAUSE_PAUSE = 0.25, 0.1
"""Seconds behind a sentence, and behind a clause at which a sentence was divided."""

_OPENING = "(“"
_SIMILAR = str.maketrans(
    {
        "«": "“",
        "»": "”",
        "„": "“",
        "‟": "“",
        "’": "'",
        "‘": "'",
        "–": "—",
        "―": "—",
        "¿": " ",
        "¡": " ",
        "[": "(",
        "]": ")",
    }
)
_DASH = re.compile(r"(?<!\S)-(?!\S)|--+")
"""What is typed in place of a dash."""
# Marks within a number or an abbreviation belong to the word.
_TOKEN = re.compile(
    rf"(?P<space>\s*)(?:(?P<marks>[{re.escape(MARKS)}]+)|(?P<word>(?:[^\s{re.escape(MARKS)}]|(?<=\w)[.,:](?=\w)){{1,{MAX_CLAUSE}}}))"
)

Phonemize = Callable[[Sequence[str]], Sequence[str]]
"""Returns the phonemes of each text."""


@dataclass(frozen=True, slots=True)
class Located:
    """Written words, and their symbols in a piece."""

    text: str
    number: int
    """Among the readings of its sentence."""
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text that one run speaks."""

    symbols: str
    words: Sequence[Located]
    sentence: int
    """Number of its sentence in the text."""
    pause: float = 0.0
    """Seconds of silence behind it, if another piece follows."""


@dataclass(slots=True)
class _Clause:
    """Words without a mark between them, and the marks around them."""

    before: str = ""
    words: list[str] = field(default_factory=list)
    readings: list[int] = field(default_factory=list)
    """Of each word, the number of its reading."""
    after: str = ""

    @property
    def text(self) -> str:
        """The words, as they are pronounced together."""
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Script:
    """The pieces of a text."""

    sentences: Sequence[str]
    pieces: Sequence[Piece]


def script_of(text: str, language: str, phonemize: Phonemize, *, normalize: bool) -> Script:
    """Divide a text into pieces; a sentence without anything to speak has none.

    Args:
        text: without control characters.
        language: of the phonemes.
        phonemize: called once, with all clauses and words.
        normalize: read numbers, dates, units and so on as words, in English.
    """
    found = sentences(text)
    readings = [read(sentence, language if normalize else None) for sentence in found]
    clauses = [list(_clauses(reading)) for reading in readings]
    symbols = _symbols_by_text([clause for group in clauses for clause in group], language, phonemize)
    pieces: list[Piece] = []
    for number, (group, reading) in enumerate(zip(clauses, readings, strict=True)):
        whole = [_piece(clause, symbols, reading, number) for clause in group]
        pieces += _with_pauses(_packed([part for piece in whole if piece.words for part in _cut(piece)]))
    return Script(found, pieces)


def _clauses(readings: Sequence[Reading]) -> Iterator[_Clause]:
    """Divide a sentence at its marks, and where a clause becomes too long."""
    clause = _Clause()
    for number, token in _tokens(readings):
        if word := token["word"]:
            if clause.after or sum(map(len, clause.words)) + len(word) > MAX_CLAUSE:
                yield clause
                clause = _Clause()
            clause.words.append(word)
            clause.readings.append(number)
        elif token["marks"][0] in _OPENING or (
            token["marks"] == '"' and (token["space"] or not token.start())
        ):
            if clause.words:
                yield clause
                clause = _Clause()
            clause.before += token["marks"]
        else:
            clause.after += token["marks"]
    yield clause


def _tokens(readings: Sequence[Reading]) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield the words and marks that are spoken, each with the number of its reading."""
    for number, reading in enumerate(readings):
        spoken = _DASH.sub("—", reading.spoken.translate(_SIMILAR)).replace("...", "…")
        for token in _TOKEN.finditer(spoken):
            yield number, token


def _symbols_by_text(clauses: Sequence[_Clause], language: str, phonemize: Phonemize) -> dict[str, str]:
    """Return the symbols of each clause and of each word alone."""
    texts = list(dict.fromkeys(text for clause in clauses for text in (clause.text, *clause.words)))
    return {
        text: symbols_of(phonemes, language) for text, phonemes in zip(texts, phonemize(texts), strict=True)
    }


def _piece(clause: _Clause, symbols: Mapping[str, str], readings: Sequence[Reading], sentence: int) -> Piece:
    """Return a clause as a piece; without words if there is nothing to speak in it."""
    whole = symbols[clause.text]
    spans = locate([symbols[word] for word in clause.words], whole)
    words = [
        Located(readings[number].source, number, start + len(clause.before), end + len(clause.before))
        for number, (start, end) in zip(clause.readings, spans, strict=True)
    ]
    return Piece(f"{clause.before}{whole}{clause.after}", _merged(words) if whole else [], sentence)


def _merged(words: Sequence[Located]) -> list[Located]:
    """Join the symbols of words that are written as one."""
    merged: list[Located] = []
    for word in words:
        if merged and merged[-1].number == word.number:
            merged[-1] = replace(merged[-1], end=word.end)
        else:
            merged.append(word)
    return merged


def _cut(piece: Piece) -> Iterator[Piece]:
    """Divide a piece that is too long at words, or anywhere in a word that is too long."""
    while len(piece.symbols) > MAX_PIECE:
        place = piece.symbols.rfind(" ", 1, MAX_PIECE) + 1 or MAX_PIECE
        yield _part(piece, 0, place)
        piece = _part(piece, place, len(piece.symbols))
    yield piece


def _part(piece: Piece, start: int, end: int) -> Piece:
    words = [
        replace(word, start=word.start - start, end=min(word.end, end) - start)
        for word in piece.words
        if start <= word.start < end
    ]
    return replace(piece, symbols=piece.symbols[start:end].rstrip(), words=words)


def _packed(pieces: Sequence[Piece]) -> list[Piece]:
    """Join the pieces of a sentence as long as they fit into a run."""
    packed: list[Piece] = []
    for piece in pieces:
        if packed and len(packed[-1].symbols) + 1 + len(piece.symbols) <= MAX_PIECE:
            packed[-1] = _joined(packed[-1], piece)
        else:
            packed.append(piece)
    return packed


def _joined(first: Piece, second: Piece) -> Piece:
    shift = len(first.symbols) + 1
    moved = [replace(word, start=word.start + shift, end=word.end + shift) for word in second.words]
    words = _merged([*first.words, *moved])
    return replace(first, symbols=f"{first.symbols} {second.symbols}", words=words)


def _with_pauses(pieces: Sequence[Piece]) -> list[Piece]:
    """Return the pieces of a sentence with the pauses behind them."""
    inner = [
        replace(piece, pause=CLAUSE_PAUSE if piece.symbols[-1] in MARKS else 0.0) for piece in pieces[:-1]
    ]
    return [*inner, *(replace(piece, pause=SENTENCE_PAUSE) for piece in pieces[-1:])]
