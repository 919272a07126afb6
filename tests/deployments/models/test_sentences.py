# ruff: noqa: RUF001  # the marks of other scripts are meant
"""Where text is cut to be spoken piece by piece."""

import pytest

from deployments.models.sentences import MAX_GROUP, MAX_SENTENCE, sentences, split_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Dr. Who met Mrs. Smith at 5 p.m. on Jan. 3rd.", ["Dr. Who met Mrs. Smith at 5 p.m. on Jan. 3rd."]),
        ("It costs 3.14 dollars. Really.", ["It costs 3.14 dollars.", "Really."]),
        ("J. K. Rowling wrote it in the U.K. Then she slept.", None),
        ("Go to www.example.org. Now.", ["Go to www.example.org.", "Now."]),
        ("See Fig. 2 and No. 7. Then stop.", ["See Fig. 2 and No. 7. Then stop."]),
        ("She said “Stop!” and left. He did not.", ["She said “Stop!” and left.", "He did not."]),
        ("He asked, “Why?” Nobody knew.", ["He asked, “Why?”", "Nobody knew."]),
        ("Well... perhaps. Or… no.", ["Well... perhaps.", "Or… no."]),
        ("Er kam am 3. Mai, d. h. gestern. Gut.", ["Er kam am 3. Mai, d. h. gestern.", "Gut."]),
        ("1. Do this. 2. Do that.", ["1. Do this.", "2. Do that."]),
        ("你好。我很好！“真的吗？”是", ["你好。", "我很好！", "“真的吗？”", "是"]),
        ("「行く。」彼は言った。", ["「行く。」", "彼は言った。"]),
        ("नमस्ते। आप कैसे हैं? ठीक।", ["नमस्ते।", "आप कैसे हैं?", "ठीक।"]),
        ("A title\n\nAnd a text\nover two lines.", ["A title", "And a text\nover two lines."]),
        ("  \n Blanks.  \t Between. \n", ["Blanks.", "Between."]),
        ("!", ["!"]),
    ],
)
def test_sentences(text: str, expected: list[str] | None) -> None:
    assert sentences(text) == (expected or [text])


TEXTS = [
    "word " * 800,
    "a" * 4096,
    "。" * 50 + "你好，" * 1000,
    "Short. " * 500,
    "--- Well. *** … !!! So. ...",
    "One, two; three: " * 200,
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("grouped", [True, False])
def test_nothing_is_lost_and_no_piece_is_too_long_or_says_nothing(text: str, grouped: bool) -> None:
    spoken = split_text(text, grouped=grouped)
    assert "".join("".join(spoken).split()) == "".join(text.split())
    assert all(any(character.isalnum() for character in piece) for piece in spoken)
    assert all(len(piece) <= MAX_SENTENCE + 60 for piece in spoken)


def test_the_first_piece_is_one_sentence_and_others_go_together() -> None:
    first, *rest = split_text("First one. " + "And a second one. " * 40, grouped=True)
    assert first == "First one."
    assert all(MAX_GROUP - 20 < len(piece) <= MAX_GROUP for piece in rest[:-1])
    assert split_text("One. Two.", grouped=False) == ["One.", "Two."]


def test_long_sentences_are_split_where_one_would_breathe() -> None:
    spoken = split_text("so it went on and on, and on and on; " * 40, grouped=False)
    assert all(piece.endswith(";") for piece in spoken)
    spoken = split_text("so it went on and on, and on and on " * 40, grouped=False)
    assert all(piece.endswith(",") for piece in spoken[:-1])


def test_nothing_but_marks_is_one_piece() -> None:
    assert split_text("?! ... ***", grouped=False) == ["?! ... ***"]
