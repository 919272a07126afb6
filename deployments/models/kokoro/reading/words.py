# ruff: noqa: RUF001  # signs of typography
"""Roman numerals, abbreviations, initials and signs."""

import re
from collections.abc import Iterator

from deployments.models.kokoro.reading.numbers import cardinal, ordinal, roman_value
from deployments.models.kokoro.reading.rules import END, Match, Rule, any_of, ended
from deployments.models.kokoro.reading.tables import (
    ABBREVIATIONS,
    MONTHS,
    MONTHS_BY_NAME,
    NUMBERED,
    NUMBERED_THINGS,
    PLACES,
    SIGNS,
    SOVEREIGNS,
    TITLES,
    WEEKDAYS,
)

_HOUSE = re.compile(r"\d (?:[A-Z]\w*\.? )+$")
"""A number and a name, before the abbreviation of a street."""
_ARITHMETIC = "<>=+×÷~*"
_SHORT_MONTHS = [name for name in MONTHS_BY_NAME if name not in MONTHS]


def numeral_rules() -> Iterator[Rule]:
    """Yield the rules for Roman numerals."""
    sovereign = rf"\b(?P<name>{any_of(SOVEREIGNS)})"
    yield rf"{sovereign} (?P<numeral>[IVX]{{2,}}|V|X)\b", _regnal
    yield rf"{sovereign} (?P<numeral>I)(?=\s*(?:[.,;:!?)]|$|of\b|was\b|is\b|and\b)|['’]s)", _regnal
    yield rf"\b(?P<name>{any_of(NUMBERED_THINGS)}) (?P<numeral>[IVXL]+)\b(?!['’])", _roman
    yield r"\b(?P<name>[A-Z]\w+) (?P<numeral>[IVX]{2,})\b", _roman


def rules() -> Iterator[Rule]:
    """Yield the rules for abbreviations and signs, the most specific first."""
    yield rf"\b(?P<short>{any_of(NUMBERED)})\. ?(?=\d)", _numbered
    yield r"#(?=\d)", lambda _: "number "
    yield r"\bc\.(?= ?\d{4})", lambda _: "circa"
    yield rf"\b(?P<title>{any_of(TITLES)})\.(?= ?[A-Z])", _title
    yield r"\b(?P<title>Mr|Mrs|Ms)\.", _title
    yield rf"(?<=[\w,] )(?P<place>{any_of(PLACES)})\.{END}", _place
    yield rf"(?<![\w.])(?P<short>{any_of(ABBREVIATIONS)})\.{END}", _abbreviation
    yield r"\bvs\b", lambda _: "versus"
    yield rf"\b(?P<month>{any_of(_SHORT_MONTHS)})\.{END}", _month
    words = [name for name in WEEKDAYS if name in ("Sat", "Sun")]  # these also end sentences
    yield rf"\b(?P<day>{any_of(words)})\.(?=,| \d| (?:{any_of(MONTHS_BY_NAME)}))(?P<end>(?!))?", _weekday
    yield rf"\b(?P<day>{any_of(WEEKDAYS.keys() - words)})\.(?=,? [\dA-Z]|\s*$){END}", _weekday
    yield rf"(?<![\w.])(?P<letters>[A-Za-z](?:\.[A-Za-z]{{1,2}})+)\.{END}", _initials
    yield r"\b(?P<letters>Ph\.D)\.?(?P<end>\s*$)?", _initials
    yield r"(?<![\w.])(?P<letters>[A-Z])\.(?= [A-Z])(?P<end>(?!))?", _initials
    yield r"(?<![\w/])w/(?P<out>o)?(?= )", _with
    yield rf"(?<=\d) ?(?P<sign>[{_ARITHMETIC}]) ?(?=\d)|(?<!\w)(?P<about>[~<>+])(?=\s?\d)", _sign
    yield r"(?P<sign>[&@=×÷±≈≠≤≥§©®™→])", _sign


def _regnal(match: Match) -> str | None:
    value = roman_value(match["numeral"])
    return None if value is None else f"{match['name']} the {ordinal(str(value))}"


def _roman(match: Match) -> str | None:
    value = roman_value(match["numeral"])
    return None if value is None else f"{match['name']} {cardinal(str(value))}"


def _numbered(match: Match) -> str:
    return f"{NUMBERED[match['short']]} "


def _title(match: Match) -> str | None:
    is_place = match["title"] in PLACES and _HOUSE.search(match.string[: match.start()])
    return None if is_place else TITLES[match["title"]]


def _place(match: Match) -> str:
    return ended(PLACES[match["place"]], match)


def _abbreviation(match: Match) -> str:
    return ended(ABBREVIATIONS[match["short"]], match)


def _month(match: Match) -> str:
    return ended(MONTHS_BY_NAME[match["month"]], match)


def _weekday(match: Match) -> str:
    return ended(WEEKDAYS[match["day"]], match)


def _initials(match: Match) -> str:
    letters = match["letters"].replace(".", "")
    return ended(letters if letters in ("PhD", "eg") else letters.upper(), match)


def _with(match: Match) -> str:
    return "without" if match["out"] else "with"


def _sign(match: Match) -> str:
    sign = next(group for group in match.groups() if group)
    return f" {SIGNS[sign]} "
