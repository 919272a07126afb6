"""Addresses, telephone numbers and versions."""

import re
from collections.abc import Iterator

from deployments.models.kokoro.reading.numbers import cardinal, spelled
from deployments.models.kokoro.reading.rules import Match, Rule
from deployments.models.kokoro.reading.tables import ADDRESS_SIGNS

_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
_TOP = r"(?:com|org|net|edu|gov|io|dev|ai|app|co|info|me|tv|eu|uk|de|fr|es|it|br|ca|au|jp|ch|nl|us)"
_STOP = r"\s<>()\"“”"
_REST = rf"(?:[/?#](?:[^{_STOP}]*[^{_STOP}.,;:!?'])?)?"


def rules() -> Iterator[Rule]:
    """Yield the rules, the most specific first."""
    yield rf"(?:https?|ftp)://[^{_STOP}]*[^{_STOP}.,;:!?']", _address
    yield rf"(?<![\w.])[\w.+-]+@{_DOMAIN}[A-Za-z]{{2,}}", _address
    yield rf"(?<![\w.@-]){_DOMAIN}{_TOP}(?![\w-]|\.\w){_REST}", _address
    yield r"(?<![\w.])\+\d{1,3}(?:[ -]?\(\d{1,4}\))?(?:[ .-]?\d{2,4}){2,5}(?!\w)", _telephone
    yield r"(?<![\w.])(?:1[ -])?\(\d{3}\) ?\d{3}[ .-]\d{4}(?!\w)", _telephone
    yield r"(?<![\w.-])(?:1-)?\d{3}([-.])\d{3}\1\d{4}(?![\w-])", _telephone
    yield r"(?<![\w.-])\d{3}-\d{4}(?![\w-])", _telephone
    yield r"(?<![\w.,-])0\d{2,4}(?: \d{3,4}){1,3}(?![\w.,]*\d)", _telephone
    yield r"\b(?P<v>[vV])(?P<groups>\d+(?:\.\d+)*)(?!\w|\.\w)", _version
    yield r"(?<![\w.,])(?P<v>)(?P<groups>\d+(?:\.\d+){2,})(?![\w,])", _version


def digit_rules() -> Iterator[Rule]:
    """Yield the rules for numbers that are read digit by digit, which come after those for dates."""
    yield r"(?<![\w.-])\d+(?:-\d+){2,}(?![\w-])", _telephone
    names = r"ZIP(?: code)?|[Zz]ip code|[Pp]ostal code|ID|PIN|[Cc]ode|[Ee]xtension"
    yield rf"\b(?P<name>{names}) (?P<digits>\d{{3,}})\b(?![.,]?\d)", _code


def _address(match: Match) -> str:
    address = re.sub(r"^\w+://", "", match[0]).rstrip("/")
    return " ".join(_address_word(part) for part in re.findall(r"[^\W\d_]+|\d+|.", address))


def _address_word(part: str) -> str:
    if part == "www":
        return "double u double u double u"
    if part.isdecimal():
        return cardinal(part) if len(part) < 4 else spelled(part)
    return ADDRESS_SIGNS.get(part, part)


def _telephone(match: Match) -> str:
    groups: list[str] = re.findall(r"\+?\d+", match[0])
    return ", ".join(f"plus {spelled(one[1:])}" if one.startswith("+") else spelled(one) for one in groups)


def _code(match: Match) -> str:
    return f"{match['name']} {spelled(match['digits'])}"


def _version(match: Match) -> str:
    groups = match["groups"].split(".")
    joint = " dot " if len(groups) == 4 else " point "  # four groups are an address of the internet
    return f"{'version ' if match['v'] else ''}{joint.join(cardinal(group) for group in groups)}"
