"""Framing of one streamed file in a ``multipart/form-data`` body, after the fields that describe it."""

from __future__ import annotations

import re
import secrets
from urllib.parse import quote

# The characters that browsers escape in a form's file names (HTML standard, 4.10.22.8), and the backslash.
_UNSAFE = re.compile(r'[\x00-\x1f"\\]')
# A name with one of these may not come back from `filename` as it was: an escape, a byte that is not UTF-8,
# or the start of an encoded word.
_AMBIGUOUS = re.compile(r'[\x00-\x1f"\\%\udc80-\udcff]|^=\?')


class Frame:
    """Head and tail of the body, before and after the bytes of the file."""

    def __init__(self, name: str, track: int | None = None) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        disposition = f'form-data; name="file"; {_file_name(name)}'
        part = f"Content-Disposition: {disposition}\r\nContent-Type: application/octet-stream"
        described = "" if track is None else f"--{boundary}\r\n{_field('track', track)}\r\n"
        # The field is in front, so that a server knows the track before the file's bytes arrive.
        self.head = f"{described}--{boundary}\r\n{part}\r\n\r\n".encode(errors="surrogateescape")
        self.tail = f"\r\n--{boundary}--\r\n".encode()

    def size(self, content: int) -> int:
        """Return the bytes of the whole body, given those of the file."""
        return len(self.head) + content + len(self.tail)


def _file_name(name: str) -> str:
    """Write the name as browsers do, and if that is ambiguous, exactly as well (RFC 8187)."""
    plain = f'filename="{_UNSAFE.sub(_escape, name)}"'
    if not _AMBIGUOUS.search(name):
        return plain
    return f"{plain}; filename*=UTF-8''{quote(name.encode(errors='surrogateescape'), safe='')}"


def _field(name: str, value: int) -> str:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'


def _escape(match: re.Match[str]) -> str:
    return "\\\\" if match[0] == "\\" else f"%{ord(match[0]):02X}"
