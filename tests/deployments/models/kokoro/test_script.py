# ruff: noqa: RUF001  # phonemes and marks
"""Texts become pieces that fit into a run, and each written word has its symbols."""

import re
from collections.abc import Sequence

import pytest

from deployments.models.kokoro.phonemes import locate, symbols_of
from deployments.models.kokoro.script import MAX_PIECE, Script, script_of
from deployments.models.kokoro.symbols import VOCABULARY


def letters(texts: Sequence[str]) -> list[str]:
    """Pronounce each letter as it is written, and each digit as a long word."""
    return [re.sub(r"\d", "kwatɾo", text.lower().replace("g", "ɡ")) for text in texts]


def script(text: str) -> Script:
    return script_of(text, "es", letters, normalize=True)


def test_each_sentence_is_a_piece_with_its_marks() -> None:
    found = script("Dos gatos, tres. ¿Son «azules»? (Si)!")
    assert [piece.symbols for piece in found.pieces] == ["dos ɡatos, tres.", "son “azules”?", "(si)!"]


def test_a_dialogue_in_quotes_keeps_its_marks() -> None:
    (piece,) = script('el dijo: "si", y no — nunca').pieces
    assert piece.symbols == 'el dijo: "si", y no— nunca'


@pytest.mark.parametrize("typed", [" - ", " – ", " -- ", "--"])
def test_a_dash_is_heard_however_it_is_typed(typed: str) -> None:
    (piece,) = script(f"si{typed}no").pieces
    assert piece.symbols == "si— no"


@pytest.mark.parametrize(
    "text",
    [
        "una " * 400,
        "una, dos " * 400,
        "a" * 3000,
        "a, " * 1000,
        '"' * 500 + "a",
        "(" * 300 + "si" + ")" * 300,
        "12345678901234567890 " * 50,
    ],
)
def test_no_piece_is_too_long_for_a_run(text: str) -> None:
    found = script(text)
    assert found.pieces
    assert max(len(piece.symbols) for piece in found.pieces) <= MAX_PIECE


@pytest.mark.parametrize("text", ["una, dos y tres. " * 60, "una " * 400, "una; dos, tres " * 100])
def test_every_word_is_in_a_piece_once(text: str) -> None:
    found = script(text)
    assert [word.text for piece in found.pieces for word in piece.words] == text.split()


def test_the_symbols_of_a_word_are_those_of_its_letters() -> None:
    (piece,) = script("Uno (dos), tres y cuatro!").pieces
    spoken = {word.text: piece.symbols[word.start : word.end] for word in piece.words}
    assert spoken == {"Uno": "uno", "(dos),": "dos", "tres": "tres", "y": "y", "cuatro!": "cuatro"}


def test_pauses_follow_sentences_and_divided_clauses() -> None:
    first = f"Una{' una' * 30}, dos{' dos' * 30}."
    found = script(f"{first} Tres{' tres' * 60}.")
    assert [piece.pause for piece in found.pieces] == [0.1, 0.25, 0.0, 0.25]


def test_a_sentence_without_sounds_has_no_piece() -> None:
    found = script("Si. *** ... No.")
    assert [piece.symbols for piece in found.pieces] == ["si.", "no."]


def test_words_are_found_in_phonemes_that_are_glued() -> None:
    whole = "ðə hˈaʊs ʌvðə kˈɪŋ"
    spans = locate(["ðə", "hˈaʊs", "ʌv", "ðə", "kˈɪŋ"], whole)
    assert [whole[start:end] for start, end in spans] == ["ðə", "hˈaʊs", "ʌv", "ðə", "kˈɪŋ"]


def test_words_that_are_pronounced_differently_together_keep_their_places() -> None:
    whole = "ðɪ ˈæpᵊl"
    spans = locate(["ðə", "ˈæpᵊl"], whole)
    assert [whole[start:end] for start, end in spans] == ["ðɪ", "ˈæpᵊl"]


def test_a_silent_word_has_no_symbols() -> None:
    assert locate(["", "aː", "", "b"], "aː b") == [(0, 0), (0, 2), (2, 2), (3, 4)]


@pytest.mark.parametrize(
    ("language", "phonemes", "symbols"),
    [
        ("en-us", "d^ʒˈɑːb ɡˈo^ʊɪŋ", "ʤˈɑb ɡˈOɪŋ"),
        ("en-us", "wˈɔːɾɚ bˈæʔn̩", "wˈɔTəɹ bˈætn"),
        ("en-gb", "ɡˈə^ʊɪŋ nˈɜːs", "ɡˈQɪŋ nˈɜːs"),
        ("fr", "wiːkˈɛnd (^e^n)sˈɒft(^f^r) bɔ̃", "wiːkˈɛnd sˈɒft bɔ̃"),
        ("it", "pˈit^sa", "pˈiʦa"),
    ],
)
def test_phonemes_become_symbols_of_the_vocabulary(language: str, phonemes: str, symbols: str) -> None:
    assert symbols_of(phonemes, language) == symbols
    assert set(symbols) <= set(VOCABULARY)
