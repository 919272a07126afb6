# ruff: noqa: RUF001  # signs of typography
"""Says numbers in English words, without hyphens and commas: they are read aloud."""

import re

MAX_DIGITS = 15
"""A longer number is read digit by digit."""
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_DENOMINATORS = {2: "half", 4: "quarter"}
_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50}


def number(written: str) -> str:
    """Say a number as it is written: with a sign, commas between thousands, and a decimal point."""
    sign = "minus " if written[0] in "-−–" else ""
    whole, point, decimals = written.lstrip("-−–+").replace(",", "").partition(".")
    said = cardinal(whole) if whole else "zero" if point else ""
    return f"{sign}{said}{f' point {spelled(decimals)}' if decimals else ''}"


def cardinal(digits: str) -> str:
    """Say a whole number; one with leading zeros, or a very long one, digit by digit."""
    if len(digits) > MAX_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return spelled(digits)
    return _words(int(digits), "cardinal")


def ordinal(digits: str) -> str:
    """Say ``21`` as ``twenty first``."""
    value = int(digits)
    said = _words(value, "ordinal") if len(digits) <= MAX_DIGITS else f"{spelled(digits)}th"
    return said.removeprefix("one ") if value == 100 else said


def year(digits: str) -> str:
    """Say ``1984`` as ``nineteen eighty four``, and ``1905`` as ``nineteen oh five``."""
    return _words(int(digits), "year")


def decade(digits: str) -> str:
    """Say ``1980`` as ``nineteen eighties``, and ``90`` as ``nineties``."""
    said = year(digits) if len(digits) == 4 else cardinal(digits)
    return f"{said[:-1]}ies" if said.endswith("y") else f"{said}s"


def spelled(digits: str) -> str:
    """Say digits one by one."""
    return " ".join(DIGITS[int(digit)] for digit in digits)


def in_pairs(digits: str) -> str:
    """Say the three or four digits of a room or flight; ``404`` is ``four oh four``."""
    first, last = digits[:-2], digits[-2:]
    if last == "00":
        return f"{cardinal(first)} hundred"
    return f"{cardinal(first)} {f'oh {DIGITS[int(last)]}' if last[0] == '0' else cardinal(last)}"


def fraction(numerator: int, denominator: int) -> str:
    """Say ``3/4`` as ``three quarters``."""
    part = _DENOMINATORS.get(denominator) or ordinal(str(denominator))
    if numerator == 1:
        return f"one {part}"
    return f"{cardinal(str(numerator))} {'halves' if denominator == 2 else f'{part}s'}"


def roman_value(numeral: str) -> int | None:
    """Return the value of a Roman numeral up to 89; None if it is none."""
    if not re.fullmatch(r"L?X{0,3}(IX|IV|V?I{0,3})|X(L)(IX|IV|V?I{0,3})", numeral):
        return None
    values = [_ROMAN[letter] for letter in numeral]
    return sum(-value if value < max(values[place:]) else value for place, value in enumerate(values))


def _words(value: int, kind: str) -> str:
    from num2words import num2words

    said: str = num2words(value, lang="en", to=kind)
    return said.replace(" and ", " ").replace(",", "").replace("-", " ")
