# ruff: noqa: RUF001  # signs of typography
"""Dates, times, years and decades."""

from collections.abc import Iterator

from deployments.models.kokoro.reading import numbers
from deployments.models.kokoro.reading.numbers import cardinal, ordinal, year
from deployments.models.kokoro.reading.rules import ALONE, DASH, END, YEAR, Match, Rule, any_of, ended
from deployments.models.kokoro.reading.tables import MONTHS, MONTHS_BY_NAME

_NAMED_MONTH = rf"(?P<month>{any_of(MONTHS_BY_NAME)})\b(?:\.(?!\s*$))?"
_MONTH = r"(?P<month>1[0-2]|0?[1-9])"
_DAY = r"(?P<day>3[01]|[12]\d|0?[1-9])"
_NAMED_YEAR = rf"(?P<year>{YEAR})"
_HALF = r"(?P<half>[ap]\.m\.|[AP]\.M\.|[ap]m\b|[AP]M\b)"

_BEFORE_YEARS = r"""in In since Since by By until till during During before Before after After around circa
early late mid year spring summer autumn fall winter of from From copyright c\."""
"""Patterns of words behind which a number of four digits is a year."""
_COUNTED = r"(?! (?!(?:was|is|has|as|this|its|his|us|always|perhaps|across)\b)[a-z]+s\b)"
"""Not before a plural: 1500 people in ``in 1500 towns`` are counted."""
_YEAR_ENDS = r"(?![,.]?\d|\w)"


def rules(*, british: bool) -> Iterator[Rule]:
    """Yield the rules for dates and times, the most specific first."""
    yield rf"(?<![\w.-]){_NAMED_YEAR}-(?P<month>0[1-9]|1[0-2])-{_DAY}(?![\w-])", _numeric_date
    parts = f"{_DAY}/{_MONTH}" if british else f"{_MONTH}/{_DAY}"
    yield rf"(?<![\w./-]){parts}/{_NAMED_YEAR}(?![\w/-])", _numeric_date
    if not british:
        yield rf"(?<![\w./-]){_MONTH}/(?P<day>1[345789]|2[1-9]|3[01])(?P<year>)(?![\w/-])", _numeric_date
    yield rf"\b{_NAMED_MONTH} {_DAY}(?:st|nd|rd|th)?\b(?![:.]\d)(?:,? {_NAMED_YEAR}\b)?", _month_first
    yield (
        rf"(?<![\w.,])(?P<the>[Tt]he )?{_DAY}(?:st|nd|rd|th)?(?: of)? {_NAMED_MONTH}(?:,? {_NAMED_YEAR}\b)?",
        _day_first,
    )
    yield rf"\b{_NAMED_MONTH},? {_NAMED_YEAR}\b", _month_and_year
    minutes = r"(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?"
    yield rf"(?<![\w.:])(?P<hour>\d{{1,2}}):{minutes}(?![\d:])(?:\s?{_HALF})?{END}", _time
    yield rf"(?<![\w.:])(?P<hour>1[0-2]|0?[1-9])(?P<minute>)(?P<second>)\s?{_HALF}{END}", _time
    yield r"(?<!\w)['’](?P<decade>[2-9]0)s\b", _decade
    yield r"(?<![\w.,])(?P<decade>(?:1[1-9]|20)?\d0)s\b", _decade


def year_rules() -> Iterator[Rule]:
    """Yield the rules for numbers that are years, which come after those for amounts."""
    last = rf"(?P<last>{YEAR}|\d\d)"
    yield rf"(?<![\w.,-])(?P<first>{YEAR}){DASH}{last}(?![\w-])", _years
    for word in _BEFORE_YEARS.split():
        yield rf"(?<=\b{word}[ -])(?P<year>{YEAR}){_YEAR_ENDS}{_COUNTED}", _year
    yield rf"{ALONE}(?<!,)(?P<year>19\d\d|20[0-3]\d){_YEAR_ENDS}{_COUNTED}", _year


def _numeric_date(match: Match) -> str:
    return _date(MONTHS[int(match["month"]) - 1], match["day"], match["year"])


def _month_first(match: Match) -> str:
    return _date(MONTHS_BY_NAME[match["month"]], match["day"], match["year"])


def _date(month: str, day: str, written_year: str | None) -> str:
    said = f"{month} {ordinal(day)}"
    return f"{said}, {year(written_year)}" if written_year else said


def _day_first(match: Match) -> str:
    said = f"{match['the'] or 'the '}{ordinal(match['day'])} of {MONTHS_BY_NAME[match['month']]}"
    return f"{said}, {year(match['year'])}" if match["year"] else said


def _month_and_year(match: Match) -> str:
    return f"{MONTHS_BY_NAME[match['month']]} {year(match['year'])}"


def _time(match: Match) -> str | None:
    if int(match["hour"]) > 24:
        return None
    half = {"a": " AM", "p": " PM"}.get((match["half"] or " ")[0].lower(), "")
    hour = cardinal(str(int(match["hour"])))
    if match["minute"] in ("", "00") and not match["second"]:
        return ended(f"{hour}{half or _full(int(match['hour']))}", match)
    seconds = f" and {cardinal(str(int(match['second'])))} seconds" if match["second"] else ""
    return ended(f"{hour} {_minutes(match['minute'])}{seconds}{half}", match)


def _full(hour: int) -> str:
    return " o'clock" if 0 < hour < 13 else " hundred hours"


def _minutes(minute: str) -> str:
    return f"oh {cardinal(minute[1])}" if minute[0] == "0" else cardinal(minute)


def _decade(match: Match) -> str:
    return numbers.decade(match["decade"])


def _year(match: Match) -> str:
    return year(match["year"])


def _years(match: Match) -> str:
    first, last = match["first"], match["last"]
    return f"{year(first)} to {year(last) if len(last) == 4 else cardinal(last)}"
