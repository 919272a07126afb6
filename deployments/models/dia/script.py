"""What Dia reads: who of its two speakers says which line, and one text with their tags."""

import re
from collections.abc import Iterable, Sequence
from itertools import accumulate, groupby, pairwise
from operator import itemgetter

from audiograph.errors import InvalidRequest
from audiograph.schemas import SpokenTurn, Turn

MAX_TOKENS = 1024
"""Of a text: a byte of UTF-8 is a token, and so is a speaker's tag."""

TAGS = ("[S1]", "[S2]")
_SIGNS = re.compile(r"\[S[12]\]|<pad>|[\x00-\x02]")
"""What the tokenizer takes for tags of speakers and for padding, written out and as bytes."""

Line = tuple[int, str]
"""A speaker, 0 or 1, and what they say."""


def named_voices(turns: Iterable[Turn]) -> list[str]:
    """The voices named, in the order in which they first appear: those of speaker 0, and of speaker 1."""
    return list(dict.fromkeys(turn.voice for turn in turns if turn.voice))


def lines_of(turns: Sequence[Turn]) -> list[Line]:
    """Who says what.

    A turn without a voice is the other speaker's than the turn before it, or than the turn after it where
    no voice was named yet. If none is named at all, speaker 0 begins.
    """
    voices = named_voices(turns)
    first_named = next((index for index, turn in enumerate(turns) if turn.voice), 0)
    speaker = (first_named + 1) % 2  # taking turns from here on, they come to 0 where the first voice is
    lines = []
    for turn in turns:
        speaker = voices.index(turn.voice) if turn.voice else 1 - speaker
        lines.append((speaker, plain(turn.text)))
    return lines


def script(lines: Iterable[Line]) -> str:
    """Lines with their tags. Those of one speaker in a row share one: Dia was trained on tags in turn."""
    return " ".join(
        " ".join([TAGS[speaker], *(text for _, text in said)])
        for speaker, said in groupby(lines, key=itemgetter(0))
    )


def plain(text: str) -> str:
    """A text without signs that mean something else to Dia, and with single blanks."""
    return " ".join(_SIGNS.sub(" ", text).split())


def has_signs(text: str) -> bool:
    """Whether `plain` leaves out more than blanks."""
    return _SIGNS.search(text) is not None


def estimated_times(lines: Sequence[Line], voices: Sequence[str], duration: float) -> list[SpokenTurn]:
    """Who speaks when in a recording of so many seconds, as if all spoke at one pace.

    A speaker without a voice is called S1 or S2.
    """
    names = [*voices, *("S1", "S2")[len(voices) :]]
    ends = list(accumulate((len(text) for _, text in lines), initial=0))
    times = pairwise(duration * (end / ends[-1]) for end in ends)
    return [
        SpokenTurn(voice=names[speaker], text=text, start=start, end=end)
        for (speaker, text), (start, end) in zip(lines, times, strict=True)
    ]


def check_turns(turns: Sequence[Turn]) -> None:
    """Refuse what is no dialogue of two speakers.

    Raises:
        InvalidRequest: there is but one turn, or a third voice, or a turn of nothing but blanks and signs.
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
                f"{field}: Dia knows two speakers, and {turn.voice!r} is a third beside {voices[0]!r} and "
                f"{voices[1]!r}",
                field=field,
                details={"value": turn.voice, "voices": voices[:2]},
            )
        if not plain(turn.text):
            field = f"turns.{index}.text"
            raise InvalidRequest(f"{field} has nothing that can be spoken: {turn.text[:40]!r}", field=field)


def check_length(text: str) -> None:
    """Refuse a script that is longer than Dia reads.

    Raises:
        InvalidRequest: it is.
    """
    tokens = len(text.replace(TAGS[0], "1").replace(TAGS[1], "2").encode())
    if tokens > MAX_TOKENS:
        raise InvalidRequest(
            f"turns have {tokens} bytes of text, transcripts of their voices included; Dia reads at most "
            f"{MAX_TOKENS}: make several dialogues of it",
            field="turns",
            details={"value": tokens, "maximum": MAX_TOKENS},
        )
