"""The script that Dia reads: the lines of two speakers, joined to one text with speaker tags."""

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby, pairwise
from operator import itemgetter

from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import SpokenTurn, Turn

MAX_TOKENS = 1024
"""Length of the encoder's input. A byte of UTF-8 is a token, and so is a speaker tag."""

SPEAKER_TAGS = ("[S1]", "[S2]")
_CONTROL_TOKENS = re.compile(r"\[S[12]\]|<pad>|[\x00-\x02]")
"""Padding and speaker tags of transformers' `DiaTokenizer`, as text and as bytes."""

Line = tuple[int, str]
"""A speaker, 0 or 1, and the text of a turn."""


def named_voices(turns: Iterable[Turn]) -> list[str]:
    """Return the named voices in the order of their first turns: that of speaker 0, then of speaker 1."""
    return list(dict.fromkeys(turn.voice for turn in turns if turn.voice))


def lines_of(turns: Sequence[Turn]) -> list[Line]:
    """Assign a speaker to each turn.

    Named voices are speakers 0 and 1, in the order of their first turns. A turn without a voice has the other
    speaker than the turn before it; turns before the first named voice alternate towards it. If no voice is
    named at all, speaker 0 begins.
    """
    voices = named_voices(turns)
    first_named = next((index for index, turn in enumerate(turns) if turn.voice), 0)
    speaker = (first_named + 1) % 2  # alternating from here, the first named voice becomes speaker 0
    lines = []
    for turn in turns:
        speaker = voices.index(turn.voice) if turn.voice else 1 - speaker
        lines.append((speaker, plain(turn.text)))
    return lines


def script(lines: Iterable[Line]) -> str:
    """Join lines with their tags.

    Consecutive lines of one speaker share a tag, because Dia was trained on alternating tags.
    """
    return " ".join(
        " ".join([SPEAKER_TAGS[speaker], *(text for _, text in group)])
        for speaker, group in groupby(lines, key=itemgetter(0))
    )


def plain(text: str) -> str:
    """Return a text without Dia's control tokens, and with single spaces."""
    return " ".join(_CONTROL_TOKENS.sub(" ", text).split())


def has_control_tokens(text: str) -> bool:
    """Return whether `plain` removes control tokens from a text."""
    return _CONTROL_TOKENS.search(text) is not None


def estimated_times(lines: Sequence[Line], voices: Sequence[str], duration: float) -> list[SpokenTurn]:
    """Estimate the times of the turns in a recording, as if all speakers had the same pace.

    Args:
        lines: of the dialogue.
        voices: the names of the speakers with a voice; a speaker without one is called S1 or S2.
        duration: of the recording, in seconds.
    """
    names = [*voices, *("S1", "S2")[len(voices) :]]
    ends = list(accumulate((len(text) for _, text in lines), initial=0))
    times = pairwise(duration * (end / ends[-1]) for end in ends)
    return [
        SpokenTurn(voice=names[speaker], text=text, start=start, end=end)
        for (speaker, text), (start, end) in zip(lines, times, strict=True)
    ]


def check_turns(turns: Sequence[Turn]) -> None:
    """Refuse turns that are not a dialogue of two speakers.

    Raises:
        InvalidRequest: there is only one turn, or a third voice.
    """
    if len(turns) < 2:
        raise InvalidRequest(
            "dia needs at least two turns: it was trained on two speakers who take turns",
            field="turns",
            details={"value": len(turns), "minimum": 2},
        )
    voices = named_voices(turns)
    for index, turn in enumerate(turns):
        if turn.voice in voices[2:]:
            field = f"turns.{index}.voice"
            raise InvalidRequest(
                f"{field}: Dia knows two speakers, and {shown(turn.voice)} is a third beside "
                f"{shown(voices[0])} and {shown(voices[1])}",
                field=field,
                details={"value": turn.voice, "voices": voices[:2]},
            )


def check_length(text: str) -> None:
    """Refuse a script that is longer than the encoder's input.

    Raises:
        InvalidRequest: with the length and its maximum.
    """
    tokens = len(text.replace(SPEAKER_TAGS[0], "1").replace(SPEAKER_TAGS[1], "2").encode())
    if tokens > MAX_TOKENS:
        raise InvalidRequest(
            f"turns have {tokens} bytes of text, transcripts of their voices included; Dia reads at most "
            f"{MAX_TOKENS}: split them into several dialogues",
            field="turns",
            details={"value": tokens, "maximum": MAX_TOKENS},
        )
