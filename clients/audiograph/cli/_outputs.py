"""Where commands save their results."""

from __future__ import annotations

from pathlib import Path
from typing import cast, get_args

from audiograph._saving import check_writable, is_folder
from audiograph._wording import shown
from audiograph.errors import InvalidRequest
from audiograph.schemas import AudioFormat


def output_file(given: str | None, stem: str, chosen: AudioFormat | None) -> tuple[Path, AudioFormat]:
    """Return the file to save a recording in, and its format: the chosen one, that of its ending, or wav.

    In a folder, or in one to create where ``given`` ends with a slash, the file is ``STEM.FORMAT``.

    Raises:
        InvalidRequest: none is chosen, and the file has another ending.
    """
    if given is not None and not is_folder(given):
        return Path(given), chosen or _format_of(Path(given))
    audio_format = chosen or "wav"
    return Path(given or "") / f"{stem}.{audio_format}", audio_format


def _format_of(output: Path) -> AudioFormat:
    ending = output.suffix[1:].lower()
    if not ending:
        return "wav"
    if ending not in get_args(AudioFormat):
        choices = ", ".join(get_args(AudioFormat))
        message = f"output ends with {shown(output.suffix)}: choose a --format of {choices}"
        raise InvalidRequest(message, field="output")
    return cast(AudioFormat, ending)


def check_output(target: str | Path) -> None:
    """Check, before a request is sent, that its result can be saved at a path, or in the folder there.

    Raises:
        InvalidRequest: no file can be written there.
    """
    try:
        check_writable(target)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"output is {shown(str(target))}: no file can be written there ({reason})"
        raise InvalidRequest(f"{message}; choose another --output", field="output") from error
