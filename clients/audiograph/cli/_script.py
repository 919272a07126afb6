"""Scripts of dialogues, with one turn per line, such as ``Anna: Hello.``"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from audiograph._checks import fault
from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import Turn

_LINE = re.compile(r"(?P<speaker>[^:]{1,64}?)\s*:\s*(?P<text>.*\S)")


def parse_turns(script: str, voices: Mapping[str, str]) -> list[Turn]:
    """Parse the turns of a script, skipping empty lines.

    ``voices`` has voices by speaker; by default the name of a speaker is the voice.

    Raises:
        InvalidRequest: a line has no speaker or cannot be a turn, or the script is empty.
    """
    turns = []
    for number, line in enumerate(script.splitlines(), start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.strip())
        if not found:
            raise InvalidRequest(
                f"line {number} of the script is {shown(line.strip())}: begin with the speaker and a colon",
                field="script",
            )
        turns.append(_turn(number, voices.get(found["speaker"], found["speaker"]), found["text"]))
    if not turns:
        raise InvalidRequest("the script is empty: write lines such as `Anna: Hello.`", field="script")
    return turns


def _turn(number: int, voice: str, text: str) -> Turn:
    try:
        return Turn(voice=voice, text=text)
    except ValidationError as error:
        message = f"the {error.errors()[0]['loc'][0]} in line {number} of the script: {fault(error)}"
        raise InvalidRequest(message, field="script") from error


def parse_voices(options: Sequence[str]) -> dict[str, str]:
    """Parse ``SPEAKER=VOICE`` options into voices by speaker.

    Raises:
        InvalidRequest: an option has another form.
    """
    pairs = [option.partition("=") for option in options]
    for speaker, mark, voice in pairs:
        if not (speaker and mark and voice):
            given = shown(speaker + mark + voice)
            raise InvalidRequest(f"voice is {given}: write SPEAKER=VOICE", field="voice")
    return {speaker: voice for speaker, _, voice in pairs}
