"""The script of a dialogue: one turn a line, such as ``Anna: Hello.``"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from audiograph.errors import InvalidRequest
from audiograph.schemas import Turn

_LINE = re.compile(r"(?P<speaker>[^:]{1,64}?)\s*:\s*(?P<text>.*\S)")


def turns_of(script: str, voices: Mapping[str, str]) -> list[Turn]:
    """The turns of a script; empty lines mean nothing, and a speaker's name is the voice unless one is given.

    Raises:
        InvalidRequest: a line does not say who speaks, or there is none.
    """
    turns = []
    for number, line in enumerate(script.splitlines(), start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if not found:
            raise InvalidRequest(
                f"line {number} of the script is {line.strip()[:40]!r}: begin with who speaks, and a colon",
                field="script",
            )
        turns.append(Turn(voice=voices.get(found["speaker"], found["speaker"]), text=found["text"]))
    if not turns:
        raise InvalidRequest("the script is empty: write lines such as `Anna: Hello.`", field="script")
    return turns


def voices_of(options: Sequence[str]) -> dict[str, str]:
    """Voices by speaker, from ``SPEAKER=VOICE``.

    Raises:
        InvalidRequest: one has no ``=``.
    """
    pairs = [option.partition("=") for option in options]
    for speaker, mark, voice in pairs:
        if not (speaker and mark and voice):
            raise InvalidRequest(f"--voice is {speaker!r}: write SPEAKER=VOICE", field="voice")
    return {speaker: voice for speaker, _, voice in pairs}
