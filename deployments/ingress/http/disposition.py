"""``Content-Disposition``: reads the names of a form's part, and writes the name of a download.

Senders of forms write a file's name in several ways: as it is, with ``%22`` for a quote (browsers) or with
backslashes (older curl); as ``filename*`` (RFC 8187; older urllib3); or as an encoded word (RFC 2047), with
``filename*`` beside it (.NET, Spring).
"""

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from urllib.parse import quote, unquote_to_bytes

_PARAMETER = re.compile(
    rb"""; \s* ([^\s=;"]+) \s* = \s* (?: "((?:[^"\\]|\\.)*)" | "([^"]*)" | ([^;]*) )""",
    re.DOTALL | re.VERBOSE,
)
"""A name, and its value: in quotes; in quotes after a backslash that escapes nothing; or without quotes."""
_QUOTED_PAIR = re.compile(rb'\\(["\\])')
_ESCAPED = re.compile(rb"%(22|0D|0A)", re.IGNORECASE)
"""Browsers' escapes of quotes and line breaks in a form's file names (HTML standard, 4.10.22.8)."""
_ENCODED_WORDS = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?]*\?=(\s+=\?[^?\s]+\?[BbQq]\?[^?]*\?=)*")
_EXTENDED = re.compile(rb"filename\*(?:(\d{1,3})(\*?))?", re.IGNORECASE)


def parse_part(header: bytes) -> tuple[str, str | None]:
    """Parse the header of a form's part.

    Returns:
        The field's name, empty if there is none; and the file's name, None for a text field.
    """
    parameters = {key.lower(): value for key, value in _parameters(header)}
    field = _text(parameters.get(b"name", b""))
    extended = _extended_name(parameters)
    if extended or b"filename" not in parameters:
        return field, extended
    return field, _plain_name(parameters[b"filename"])


def attachment(name: str) -> str:
    """Build the header of a download, with an ASCII name for old clients, and the full name (RFC 6266)."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _parameters(header: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (key, _QUOTED_PAIR.sub(rb"\1", quoted) or after_backslash or bare.rstrip())
        for key, quoted, after_backslash, bare in _PARAMETER.findall(header)
    ]


def _plain_name(value: bytes) -> str:
    name = _text(_ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), value))
    return _decode_words(name) if _ENCODED_WORDS.fullmatch(name) else name


def _decode_words(name: str) -> str:
    try:
        words = [word.decode(charset or "ascii") for word, charset in decode_header(name)]
    except (HeaderParseError, LookupError, ValueError):
        return name
    return "".join(words) or name


def _extended_name(parameters: dict[bytes, bytes]) -> str | None:
    """Decode ``filename*``, whole or in numbered pieces (RFC 2231); None if there is none."""
    pieces = sorted(_pieces(parameters))
    if not pieces:
        return None
    number, escaped, first = pieces[0]
    charset, text = _split_charset(first) if escaped else ("utf-8", first)
    pieces[0] = (number, escaped, text)
    content = [unquote_to_bytes(value) if escaped else value for _, escaped, value in pieces]
    return _text(b"".join(content), charset)


def _pieces(parameters: dict[bytes, bytes]) -> Iterator[tuple[int, bool, bytes]]:
    """Yield the number of each piece, whether it has escapes, and its value."""
    for key, value in parameters.items():
        if found := _EXTENDED.fullmatch(key):
            number, star = found.groups()
            yield int(number or 0), number is None or bool(star), value


def _split_charset(value: bytes) -> tuple[str, bytes]:
    """Split ``charset'language'text``; a text alone is UTF-8."""
    charset, *rest = value.split(b"'", 2)
    return (charset.decode("latin-1"), rest[1]) if len(rest) == 2 else ("utf-8", value)


def _text(content: bytes, charset: str = "utf-8") -> str:
    """Decode a name in its charset, or else as UTF-8 or as browsers read Latin-1."""
    for encoding in (charset, "utf-8", "cp1252"):
        try:
            return content.decode(encoding)
        except (LookupError, ValueError):
            continue
    return content.decode("latin-1")
