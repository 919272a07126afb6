# ruff: noqa: RUF001  # signs of typography
"""Money, measures, fractions and plain numbers."""

from collections.abc import Iterator

from deployments.models.kokoro.reading import numbers
from deployments.models.kokoro.reading.numbers import cardinal, number, ordinal, spelled
from deployments.models.kokoro.reading.rules import ALONE, DASH, NUMBER, SIGN, WHOLE, Match, Rule, any_of
from deployments.models.kokoro.reading.tables import CURRENCIES, FRACTIONS, POWERS, SCALES, UNITS, Currency

_SCALE = rf"(?:\s?(?P<scale>{any_of(SCALES)})\b)?"
_AMOUNT = rf"(?P<amount>{NUMBER})"
_POWER = r"[²³]|\^[23]"
_UNIT = (
    rf"(?P<unit>{any_of(UNITS)})(?P<power>{_POWER})?"
    rf"(?:/(?P<per>{any_of(UNITS)})(?P<per_power>{_POWER}|[23](?!\d))?)?(?![\w/²³])(?:\.(?=[,;:)]|\s+[a-z]))?"
)
_IDIOMS = {(9, 11), (24, 7)}
"""Fractions that are none."""
_OPERATIONS = {
    **dict.fromkeys("-−", "minus"),
    **dict.fromkeys("×x*", "times"),
    **dict.fromkeys("÷/", "divided by"),
    "+": "plus",
}
_ROOMS = r"[Rr]oom|[Ff]light|[Rr]oute|[Hh]ighway|Interstate|Suite|Apartment|Boeing|Airbus"


def rules() -> Iterator[Rule]:
    """Yield the rules for amounts, the most specific first."""
    signed = r"(?P<sign>(?<![\w.])[-−])?"
    lowest = rf"(?:(?P<first>{NUMBER}){DASH}(?P=currency)?)?"
    yield rf"{signed}(?<!\w)(?P<currency>{any_of(CURRENCIES)})\s?{lowest}{_AMOUNT}{_SCALE}(?!\w)", _money
    codes = r"[€£₹¥]|(?:USD|EUR|GBP|JPY|CHF)\b"
    yield rf"{signed}{ALONE}(?:(?P<first>{NUMBER}){DASH})?{_AMOUNT}{_SCALE}\s?(?P<currency>{codes})", _money
    yield rf"{ALONE}{_AMOUNT}\s?¢", _cents
    yield r"(?<![\w.])(?P<feet>\d)['′](?P<inches>1[01]|\d)(?:[\"″”]|'')?(?!\w)", _height
    first = rf"(?:(?P<first>{NUMBER})%?\s?{DASH}\s?)?"
    yield rf"(?P<sign>{SIGN}){ALONE}{first}{_AMOUNT}(?P<gap>[ \u00a0-]?){_UNIT}", _measure
    rates = ("h", "hr", "min", "sec", "s", "yr", "kg", "lb", "km", "mi", "m²", "l", "L", "GB", "kWh")
    yield rf"(?<=\w)/(?P<unit>{any_of(rates)})(?!\w)", _rate
    yield r"(?<=\w)/(?P<unit>hour|day|week|month|year|night|person)\b", _rate


def number_rules() -> Iterator[Rule]:
    """Yield the rules for numbers that nothing else explains."""
    yield rf"(?<![\w.])(?P<number>{WHOLE})(?:st|nd|rd|th)\b", _ordinal
    yield rf"(?:(?<![\w.])(?P<whole>\d{{1,4}})\s?)?(?P<sign>[{''.join(FRACTIONS)}])", _mixed_number
    operation = rf"(?P<first>{NUMBER}) ?(?P<sign>[-−+×x*÷/]) ?(?P<last>{NUMBER})"
    yield rf"{ALONE}(?<!\^){operation}(?= ?=)", _operation
    ratio = r"(?P<numerator>\d{1,4})/(?P<denominator>\d{1,4})"
    yield rf"(?<![\w./])(?:(?P<whole>\d{{1,3}}) )?{ratio}(?![\w/])", _fraction
    yield rf"\b(?P<thing>{_ROOMS}) (?P<number>[1-9]\d{{2,3}})\b(?![.,]?\d)", _room
    yield r"\b(?P<verb>[Cc]all(?:ed)?|[Dd]ial(?:ed)?) (?P<number>\d{3})\b(?![.,-]?\d)", _emergency


def last_rules() -> Iterator[Rule]:
    """Yield the rules for numbers that are no years either."""
    first, last = rf"(?P<first>{NUMBER})", rf"(?P<last>{NUMBER})"
    yield rf"{ALONE}(?<!,){first}\s?{DASH}\s?{last}(?![\w-]|[.,]\d)", _range
    yield r"(?<![\w.,:])(?P<first>\d+):(?P<last>\d+)(?![\w:])", _ratio
    yield rf"{ALONE}{first}\s?[x×]\s?{last}(?!\w)", _product
    yield rf"{ALONE}(?P<number>{NUMBER})[x×](?!\w)", _times
    yield rf"{ALONE}(?P<base>{NUMBER})(?:\^(?P<exponent>[-−]?\d+)|(?P<small>[²³]))(?!\w)", _power
    yield rf"{ALONE}(?P<number>{NUMBER})(?P<scale>k|M|bn)(?!\w)", _scaled
    yield rf"(?P<sign>{SIGN}){ALONE}(?<!,)(?P<number>\d+,\d{{1,2}})(?!\w|[.,]\d)", _comma_decimal
    yield rf"(?P<sign>{SIGN}){ALONE}(?P<number>{NUMBER})(?!\w|[.,]\d)", _number
    yield rf"{ALONE}(?P<sign>)(?P<number>\d+)(?=[A-Z]\b)", _number_and_letter


def _money(match: Match) -> str:
    currency = CURRENCIES[match["currency"]]
    sign = "minus " if match["sign"] else ""
    if match["first"]:
        sign += f"{number(match['first'])} to "
    amount = match["amount"].replace(",", "")
    if match["scale"]:
        return f"{sign}{number(amount)} {SCALES[match['scale']]} {currency.many}"
    whole, _, decimals = amount.partition(".")
    if len(decimals) == 2 and currency.cents:
        return f"{sign}{_with_cents(whole or '0', decimals, currency)}"
    return f"{sign}{number(amount)} {currency.one if amount == '1' else currency.many}"


def _with_cents(whole: str, decimals: str, currency: Currency) -> str:
    units = f"{cardinal(whole)} {currency.one if whole == '1' else currency.many}"
    if decimals == "00":
        return units
    cents = f"{cardinal(str(int(decimals)))} {currency.cent if decimals == '01' else currency.cents}"
    return cents if whole == "0" else f"{units} and {cents}"


def _operation(match: Match) -> str:
    return f"{number(match['first'])} {_OPERATIONS[match['sign']]} {number(match['last'])}"


def _cents(match: Match) -> str:
    return f"{number(match['amount'])} {'cent' if match['amount'] == '1' else 'cents'}"


def _height(match: Match) -> str:
    return f"{cardinal(match['feet'])} foot {cardinal(match['inches'])}"


def _measure(match: Match) -> str:
    single = match["amount"] == "1" or match["gap"] == "-"
    name = UNITS[match["unit"]][0 if single else 1]
    if match["power"]:
        name = f"{POWERS[match['power']]} {name}"
    if match["per"]:
        name = f"{name} per {_divisor(match['per'], match['per_power'])}"
    if match["first"]:
        return f"{number(match['sign'] + match['first'])} to {number(match['amount'])} {name}"
    return f"{number(match['sign'] + match['amount'])} {name}"


def _divisor(unit: str, power: str | None) -> str:
    name = UNITS[unit][0]
    if not power:
        return name
    return f"{name} squared" if unit == "s" else f"{POWERS[power]} {name}"


def _rate(match: Match) -> str:
    unit = match["unit"]
    return f" per {'square meter' if unit == 'm²' else UNITS[unit][0] if unit in UNITS else unit}"


def _ordinal(match: Match) -> str:
    return ordinal(match["number"].replace(",", ""))


def _mixed_number(match: Match) -> str:
    return _with_whole(match["whole"], *FRACTIONS[match["sign"]])


def _fraction(match: Match) -> str:
    numerator, denominator = int(match["numerator"]), int(match["denominator"])
    said = f"{cardinal(match['numerator'])}", f"{cardinal(match['denominator'])}"
    if (numerator, denominator) in _IDIOMS or numerator == denominator:
        return " ".join(said)
    if not 2 <= denominator <= 100 or not 0 < numerator < denominator:
        whole = f"{cardinal(match['whole'])} " if match["whole"] else ""
        return f"{whole}{' over '.join(said)}"
    return _with_whole(match["whole"], numerator, denominator)


def _with_whole(whole: str | None, numerator: int, denominator: int) -> str:
    part = numbers.fraction(numerator, denominator)
    if not whole:
        return part
    return f"{cardinal(whole)} and {part.replace('one half', 'a half').replace('one quarter', 'a quarter')}"


def _room(match: Match) -> str:
    return f"{match['thing']} {numbers.in_pairs(match['number'])}"


def _emergency(match: Match) -> str:
    return f"{match['verb']} {spelled(match['number'])}"


def _range(match: Match) -> str:
    first, last = match["first"], match["last"]
    ascending = float(first.replace(",", "")) < float(last.replace(",", ""))
    is_score = len(first) < 3 and len(last) < 3
    return f"{number(first)}{' to ' if ascending or is_score else ' '}{number(last)}"


def _ratio(match: Match) -> str:
    return f"{cardinal(match['first'])} to {cardinal(match['last'])}"


def _product(match: Match) -> str:
    return f"{number(match['first'])} by {number(match['last'])}"


def _times(match: Match) -> str:
    return f"{number(match['number'])} {'time' if match['number'] == '1' else 'times'}"


def _power(match: Match) -> str:
    exponent = match["exponent"] or {"²": "2", "³": "3"}[match["small"]]
    said = {"2": "squared", "3": "cubed"}.get(exponent) or f"to the power of {number(exponent)}"
    return f"{number(match['base'])} {said}"


def _scaled(match: Match) -> str:
    return f"{number(match['number'])} {SCALES[match['scale']]}"


def _number(match: Match) -> str:
    return number(match["sign"] + match["number"])


def _comma_decimal(match: Match) -> str:
    return number((match["sign"] + match["number"]).replace(",", "."))


def _number_and_letter(match: Match) -> str:
    return f"{cardinal(match['number'])} "
