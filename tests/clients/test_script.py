"""The script of a dialogue."""

import pytest

from audiograph.cli._script import turns_of, voices_of
from audiograph.errors import InvalidRequest
from audiograph.schemas import Turn


def test_each_line_is_a_turn() -> None:
    script = "Ann: Who is there?\n\n  Bob :  Only me: Bob.\n"
    assert turns_of(script, {"Ann": "en-us"}) == [
        Turn(voice="en-us", text="Who is there?"),
        Turn(voice="Bob", text="Only me: Bob."),
    ]


@pytest.mark.parametrize(
    "script", ["", "\n \n", "Hello there.", "Ann: Hello.\nHow are you?", "Ann:", ": Hello."]
)
def test_a_line_says_who_speaks(script: str) -> None:
    with pytest.raises(InvalidRequest, match="script"):
        turns_of(script, {})


def test_speakers_are_given_voices() -> None:
    assert voices_of(["Ann=en-us", "Bob=a=b"]) == {"Ann": "en-us", "Bob": "a=b"}
    for wrong in ("Ann", "=en-us", "Ann="):
        with pytest.raises(InvalidRequest, match="SPEAKER=VOICE"):
            voices_of([wrong])
