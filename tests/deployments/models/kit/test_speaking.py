"""Turns and voices of models that speak."""

from audiograph.schemas import DialogueRequest, SpeakRequest, Turn
from deployments.models.kit.speaking import expected_frames, turns_of, voices_of


def test_voices_are_in_the_order_in_which_they_first_speak() -> None:
    assert voices_of([Turn(text="x", voice=voice) for voice in ("b", None, "a", "b")]) == ["b", "a"]


def test_speech_is_one_turn() -> None:
    turn = Turn(text="x", voice="a")
    assert turns_of(SpeakRequest(text="x", voice="a")) == turns_of(DialogueRequest(turns=[turn])) == [turn]


def test_wide_letters_take_longer() -> None:
    assert 25 * 0.7 < expected_frames("fifteen letters") < 25 * 1.5
    assert 25 * 0.7 < expected_frames("今天天气") < 25 * 1.5
