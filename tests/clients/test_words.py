"""Words, and characters that are never seen."""

import pytest

from audiograph._words import has_words, visible


@pytest.mark.parametrize(
    ("text", "has"),
    [
        ("a", True),
        ("½", True),
        ("語", True),
        ("", False),
        ("…", False),
        ("\u3164\uffa0", False),
        ("a\u3164", True),
    ],
)
def test_a_word_has_a_letter_or_a_digit_that_is_seen(text: str, has: bool) -> None:
    assert has_words(text) is has


def test_invisible_characters_are_those_that_unicode_ignores() -> None:
    regex = pytest.importorskip("regex")
    every = "".join(map(chr, range(0x110000)))
    assert visible(every) == regex.sub(r"\p{Default_Ignorable_Code_Point}", "", every)
