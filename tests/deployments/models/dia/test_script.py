"""Dia's script: the assignment of speakers, the tags, and the refusals."""

import pytest
import transformers

from audiograph.errors import InvalidRequest
from audiograph.schemas import Turn
from deployments.models.dia.script import (
    check_length,
    check_turns,
    estimated_times,
    has_control_tokens,
    lines_of,
    plain,
    script,
)


def turns_of(*turns: str | tuple[str, str]) -> list[Turn]:
    """Build turns from texts, or from pairs of a text and a voice."""
    return [Turn(text=turn) if isinstance(turn, str) else Turn(text=turn[0], voice=turn[1]) for turn in turns]


@pytest.mark.parametrize(
    ("voices", "speakers"),
    [
        ([None, None, None], "121"),
        (["ann", "bob", "ann"], "121"),
        (["bob", "bob", "ann"], "112"),
        (["ann", None, "ann", None], "1212"),
        ([None, "ann", None], "212"),
        ([None, None, "ann", "bob"], "1212"),
        (["ann", None, None, "bob"], "1212"),
        (["ann", "ann"], "11"),
    ],
)
def test_who_speaks(voices: list[str | None], speakers: str) -> None:
    lines = lines_of([Turn(text="Well.", voice=voice) for voice in voices])
    assert "".join(str(speaker + 1) for speaker, _ in lines) == speakers


def test_lines_of_one_speaker_share_a_tag() -> None:
    lines = [(0, "One."), (0, "Two."), (1, "Three."), (0, "Four.")]
    assert script(lines) == "[S1] One. Two. [S2] Three. [S1] Four."


@pytest.mark.parametrize("sign", ["[S1]", "[S2]", "<pad>", "\x00", "\x01", "\x02"])
def test_signs_of_the_tokenizer_are_no_words(sign: str) -> None:
    tokens = transformers.DiaTokenizer()
    assert tokens(sign)["input_ids"][0] < 3
    assert has_control_tokens(f"Oh{sign}no")
    assert plain(f"Oh{sign}\n no") == "Oh no"
    assert not has_control_tokens("Oh [S3]\n\tno")


@pytest.mark.parametrize(
    ("voices", "names"),
    [([], ["S1", "S2", "S1"]), (["ann"], ["ann", "S2", "ann"]), (["ann", "bob"], ["ann", "bob", "ann"])],
)
def test_times_are_estimated_by_the_lengths_of_texts(voices: list[str], names: list[str]) -> None:
    turns = estimated_times([(0, "Twelve chars"), (1, "Four"), (0, "Four")], voices, 10.0)
    assert [turn.voice for turn in turns] == names
    assert [turn.text for turn in turns] == ["Twelve chars", "Four", "Four"]
    assert [(turn.start, turn.end) for turn in turns] == [(0.0, 6.0), (6.0, 8.0), (8.0, 10.0)]


def test_one_turn_is_no_dialogue() -> None:
    check_turns(turns_of("Hello.", "Hi!"))
    with pytest.raises(InvalidRequest, match="at least two turns: it was trained on two speakers") as refused:
        check_turns(turns_of("Hello."))
    assert refused.value.field == "turns"


def test_a_third_voice_is_refused() -> None:
    check_turns(turns_of(("a", "ann"), "b", ("c", "bob"), ("d", "ann")))
    with pytest.raises(InvalidRequest, match="two speakers, and 'cleo' is a third") as refused:
        check_turns(turns_of(("a", "ann"), "b", ("c", "bob"), ("d", "ann"), ("e", "cleo")))
    assert refused.value.field == "turns.4.voice"


def test_text_is_counted_as_the_tokenizer_does() -> None:
    """The script has three tags, and five spaces after and between them."""
    words = 1024 - 3 - 5 - len("é".encode()) - 1
    fits, too_long = (script(lines_of(turns_of(words * "x", "é", last))) for last in ("y", "yy"))
    assert len(transformers.DiaTokenizer()(fits)["input_ids"]) == 1024
    check_length(fits)
    with pytest.raises(InvalidRequest, match="1025 bytes of text") as refused:
        check_length(too_long)
    assert refused.value.field == "turns"
