"""Scripts of dialogues."""

import pytest

from audiograph.cli._script import parse_turns, parse_voices
from audiograph.errors import InvalidRequest
from audiograph.schemas import Turn


def test_each_line_is_a_turn() -> None:
    script = "Ann: Who is there?\n\n  Bob :  Only me: Bob.\n"
    assert parse_turns(script, {"Ann": "en-us"}) == [
        Turn(voice="en-us", text="Who is there?"),
        Turn(voice="Bob", text="Only me: Bob."),
    ]


@pytest.mark.parametrize(
    "script", ["", "\n \n", "Hello there.", "Ann: Hello.\nHow are you?", "Ann:", ": Hello."]
)
def test_a_line_says_who_speaks(script: str) -> None:
    with pytest.raises(InvalidRequest, match="script"):
        parse_turns(script, {})


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (f"Ann: {'x' * 20_001}", "the text in line 2 of the script: String should have at most 20000"),
        ("A\tnn: Hello.", "the voice in line 2 of the script: should have no control characters"),
    ],
)
def test_a_line_that_cannot_be_a_turn_is_named(line: str, fault: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^{fault}") as refused:
        parse_turns(f"Ann: Hello.\n{line}", {})
    assert refused.value.field == "script"


def test_speakers_are_given_voices() -> None:
    assert parse_voices(["Ann=en-us", "Bob=a=b"]) == {"Ann": "en-us", "Bob": "a=b"}
    for wrong in ("Ann", "=en-us", "Ann="):
        with pytest.raises(InvalidRequest, match="SPEAKER=VOICE"):
            parse_voices([wrong])
