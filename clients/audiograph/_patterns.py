"""Patterns of texts in requests, each with the words for what it allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
WITHOUT_SLASH = r"^[^\x00-\x1f\x7f/]+$"
IDENTIFIER = r"^[A-Za-z0-9_.:-]+$"
SHORT_IDENTIFIER = r"^[A-Za-z0-9_.:-]{1,64}$"
ARTIFACT_ID = r"^art_[0-9a-f]{32}$"
VOICE_NAME = r"^[\w][\w .-]*$"
IDEMPOTENCY_KEY = r"^[\x21-\x7e]{1,255}$"
EVENT_ID = r"^[\x20-\x7e]{0,64}$"
IMPORT_PATH = r"^[\w.]+:\w+$"
ENVIRONMENT = r"^[A-Za-z0-9][A-Za-z0-9-]*$"
URL_PATH = r"^/"

WORDS: Mapping[str, str] = {
    PRINTABLE: "should have no control characters, such as line breaks",
    WITHOUT_SLASH: "should have neither a slash nor control characters, such as line breaks",
    IDENTIFIER: "should have only letters from A to Z, digits and the characters _ . : -",
    SHORT_IDENTIFIER: "should have 1 to 64 letters from A to Z, digits and characters of _ . : -",
    ARTIFACT_ID: "should be art_ and 32 hexadecimal digits",
    VOICE_NAME: "should have only letters, digits, underscores, and not at first blanks, dots and dashes",
    IDEMPOTENCY_KEY: "should have 1 to 255 characters of ASCII, without blanks",
    EVENT_ID: "should have at most 64 characters of ASCII",
    IMPORT_PATH: "should be a module and a name in it, such as package.module:Name",
    ENVIRONMENT: "should have only letters from A to Z, digits, and not at first dashes",
    URL_PATH: "should begin with a slash",
}
"""What a text must be, by its pattern; every pattern of a request or of the configuration is here."""


def reason(finding: Mapping[str, Any]) -> str:
    """Return what a value should be, from one of pydantic's findings; a pattern is told in words."""
    message: str = finding["msg"].removeprefix("Value error, ")
    if finding["type"] == "string_pattern_mismatch":
        return WORDS.get(finding["ctx"]["pattern"], message)  # a model's own options may have others
    return message
