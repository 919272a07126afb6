# ruff: noqa: RUF001  # signs of typography
"""What abbreviations, units, currencies and signs stand for in English."""

from collections.abc import Mapping
from typing import NamedTuple


class Currency(NamedTuple):
    """The names of an amount of money."""

    one: str
    many: str
    cent: str | None = None
    cents: str | None = None


_DOLLAR = ("dollar", "dollars", "cent", "cents")
CURRENCIES: Mapping[str, Currency] = {
    "$": Currency(*_DOLLAR),
    "US$": Currency("US dollar", "US dollars", "cent", "cents"),
    "A$": Currency("Australian dollar", "Australian dollars", "cent", "cents"),
    "C$": Currency("Canadian dollar", "Canadian dollars", "cent", "cents"),
    "£": Currency("pound", "pounds", "penny", "pence"),
    "€": Currency("euro", "euros", "cent", "cents"),
    "¥": Currency("yen", "yen"),
    "₹": Currency("rupee", "rupees", "paisa", "paise"),
    "USD": Currency("US dollar", "US dollars", "cent", "cents"),
    "EUR": Currency("euro", "euros", "cent", "cents"),
    "GBP": Currency("pound", "pounds", "penny", "pence"),
    "JPY": Currency("yen", "yen"),
    "CHF": Currency("Swiss franc", "Swiss francs", "centime", "centimes"),
}
SCALES: Mapping[str, str] = {
    **dict.fromkeys(("thousand", "k", "K"), "thousand"),
    **dict.fromkeys(("million", "m", "M", "mn"), "million"),
    **dict.fromkeys(("billion", "bn", "B", "b"), "billion"),
    **dict.fromkeys(("trillion", "tn", "T"), "trillion"),
}

_METRIC_PREFIXES = {"k": "kilo", "c": "centi", "m": "milli", "µ": "micro", "μ": "micro", "n": "nano"}
_DATA_PREFIXES = {"k": "kilo", "K": "kilo", "M": "mega", "G": "giga", "T": "tera", "P": "peta"}
_POWER_PREFIXES = {"m": "milli", "k": "kilo", "M": "mega", "G": "giga"}


def _prefixed(
    prefixes: Mapping[str, str], letter: str, name: str, plural: str | None = None
) -> dict[str, tuple[str, str]]:
    return {
        f"{short}{letter}": (f"{long}{name}", f"{long}{plural or f'{name}s'}")
        for short, long in prefixes.items()
    }


UNITS: Mapping[str, tuple[str, str]] = {
    "m": ("meter", "meters"),
    **_prefixed(_METRIC_PREFIXES, "m", "meter"),
    "mi": ("mile", "miles"),
    "ft": ("foot", "feet"),
    "yd": ("yard", "yards"),
    "in.": ("inch", "inches"),
    "g": ("gram", "grams"),
    **_prefixed(_METRIC_PREFIXES, "g", "gram"),
    "lb": ("pound", "pounds"),
    "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "l": ("liter", "liters"),
    "L": ("liter", "liters"),
    **_prefixed({"m": "milli", "c": "centi", "µ": "micro"}, "l", "liter"),
    **_prefixed({"m": "milli", "c": "centi", "µ": "micro"}, "L", "liter"),
    "tbsp": ("tablespoon", "tablespoons"),
    "tsp": ("teaspoon", "teaspoons"),
    "gal": ("gallon", "gallons"),
    "h": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "hrs": ("hour", "hours"),
    "min": ("minute", "minutes"),
    "mins": ("minute", "minutes"),
    "s": ("second", "seconds"),
    "sec": ("second", "seconds"),
    "secs": ("second", "seconds"),
    **_prefixed({"m": "milli", "µ": "micro", "μ": "micro", "n": "nano"}, "s", "second"),
    "yr": ("year", "years"),
    "yrs": ("year", "years"),
    "wk": ("week", "weeks"),
    "wks": ("week", "weeks"),
    "Hz": ("hertz", "hertz"),
    **_prefixed(_POWER_PREFIXES, "Hz", "hertz", "hertz"),
    "W": ("watt", "watts"),
    **_prefixed(_POWER_PREFIXES, "W", "watt"),
    **_prefixed({"": "", **_POWER_PREFIXES}, "Wh", "watt hour"),
    "V": ("volt", "volts"),
    **_prefixed({"m": "milli", "k": "kilo"}, "V", "volt"),
    "mA": ("milliampere", "milliamperes"),
    "mAh": ("milliampere hour", "milliampere hours"),
    "J": ("joule", "joules"),
    **_prefixed(_POWER_PREFIXES, "J", "joule"),
    "cal": ("calorie", "calories"),
    "kcal": ("kilocalorie", "kilocalories"),
    **_prefixed({"": "", "h": "hecto", "k": "kilo", "M": "mega"}, "Pa", "pascal"),
    "psi": ("P S I", "P S I"),
    "mph": ("mile per hour", "miles per hour"),
    "kph": ("kilometer per hour", "kilometers per hour"),
    "rpm": ("R P M", "R P M"),
    "fps": ("frame per second", "frames per second"),
    "dB": ("decibel", "decibels"),
    **_prefixed(_DATA_PREFIXES, "B", "byte"),
    **_prefixed(_DATA_PREFIXES, "iB", "bibyte"),
    **_prefixed(_DATA_PREFIXES, "bps", "bit per second", "bits per second"),
    **_prefixed(_DATA_PREFIXES, "bit", "bit"),
    "px": ("pixel", "pixels"),
    "dpi": ("D P I", "D P I"),
    "ppm": ("part per million", "parts per million"),
    "ha": ("hectare", "hectares"),
    "sq ft": ("square foot", "square feet"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "%": ("percent", "percent"),
}
"""Singular and plural by symbol; powers and quotients are built from them."""
POWERS: Mapping[str, str] = {
    "²": "square",
    "^2": "square",
    "2": "square",
    "³": "cubic",
    "^3": "cubic",
    "3": "cubic",
}

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
MONTHS_BY_NAME: Mapping[str, str] = {
    **{month: month for month in MONTHS},
    **{month[:3]: month for month in MONTHS},
    "Sept": "September",
}
WEEKDAYS: Mapping[str, str] = {
    **{
        day[:3]: day for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    },
    **{"Tues": "Tuesday", "Thur": "Thursday", "Thurs": "Thursday"},
}

TITLES: Mapping[str, str] = {
    "Dr": "Doctor",
    "Mr": "Mister",
    "Mrs": "Missus",
    "Ms": "Miz",
    "Mx": "Mix",
    "Prof": "Professor",
    "Profs": "Professors",
    "St": "Saint",
    "Mt": "Mount",
    "Ft": "Fort",
    "Gen": "General",
    "Col": "Colonel",
    "Maj": "Major",
    "Capt": "Captain",
    "Cmdr": "Commander",
    "Lt": "Lieutenant",
    "Sgt": "Sergeant",
    "Rev": "Reverend",
    "Hon": "Honorable",
    "Gov": "Governor",
    "Sen": "Senator",
    "Rep": "Representative",
    "Pres": "President",
    "Supt": "Superintendent",
}
"""Before a name."""
PLACES: Mapping[str, str] = {
    "St": "Street",
    "Ave": "Avenue",
    "Blvd": "Boulevard",
    "Rd": "Road",
    "Dr": "Drive",
    "Ln": "Lane",
    "Ct": "Court",
    "Sq": "Square",
    "Hwy": "Highway",
    "Pkwy": "Parkway",
    "Jr": "Junior",
    "Sr": "Senior",
    "Inc": "Incorporated",
    "Ltd": "Limited",
    "Corp": "Corporation",
    "Co": "Company",
    "Bros": "Brothers",
}
"""Behind a name."""
ABBREVIATIONS: Mapping[str, str] = {
    "vs": "versus",
    "etc": "et cetera",
    "e.g": "for example",
    "E.g": "For example",
    "I.e": "That is",
    "i.e": "that is",
    "eg": "for example",
    "ie": "that is",
    "cf": "compare",
    "approx": "approximately",
    "dept": "department",
    "Dept": "Department",
    "est": "established",
    "Est": "established",
    "et al": "et al",
    "a.k.a": "A K A",
    "Apt": "Apartment",
    "apt": "apartment",
}
"""Anywhere, with a dot behind them."""
NUMBERED: Mapping[str, str] = {
    "No": "Number",
    "no": "number",
    "Nos": "Numbers",
    "Nr": "Number",
    "Vol": "Volume",
    "vol": "volume",
    "Ch": "Chapter",
    "ch": "chapter",
    "Fig": "Figure",
    "fig": "figure",
    "Figs": "Figures",
    "Eq": "Equation",
    "Sec": "Section",
    "sec": "section",
    "p": "page",
    "pp": "pages",
    "Op": "Opus",
}
"""Before a number, with a dot behind them."""

SIGNS: Mapping[str, str] = {
    "&": "and",
    "@": "at",
    "=": "equals",
    "+": "plus",
    "×": "times",
    "*": "times",
    "÷": "divided by",
    "±": "plus or minus",
    "≈": "is about",
    "≠": "is not equal to",
    "<": "is less than",
    ">": "is greater than",
    "≤": "is at most",
    "≥": "is at least",
    "§": "section",
    "©": "copyright",
    "®": "",
    "™": "",
    "→": "to",
    "~": "about",
    "#": "number",
}
ADDRESS_SIGNS: Mapping[str, str] = {
    ".": "dot",
    "/": "slash",
    "-": "dash",
    "_": "underscore",
    "@": "at",
    "?": "question mark",
    "=": "equals",
    "&": "and",
    "#": "hash",
    "~": "tilde",
    ":": "colon",
    "%": "percent",
    "+": "plus",
    ",": "comma",
    ";": "semicolon",
}
"""Within a web or mail address."""
FRACTIONS: Mapping[str, tuple[int, int]] = {
    "½": (1, 2),
    "⅓": (1, 3),
    "⅔": (2, 3),
    "¼": (1, 4),
    "¾": (3, 4),
    "⅕": (1, 5),
    "⅖": (2, 5),
    "⅗": (3, 5),
    "⅘": (4, 5),
    "⅙": (1, 6),
    "⅚": (5, 6),
    "⅛": (1, 8),
    "⅜": (3, 8),
    "⅝": (5, 8),
    "⅞": (7, 8),
}
_SOVEREIGNS = """
Henry Louis Charles George Elizabeth Edward James John Paul Pius Benedict Richard William Philip Napoleon
Nicholas Alexander Catherine Frederick Leo Gregory Innocent Clement Francis Ramses Ramesses Ivan Peter Otto
Ferdinand Mary Ptolemy Victor Wilhelm Friedrich Gustav Carl Haakon Christian Umberto Alfonso Felipe Xerxes
Darius Julius Urban Boniface Sixtus Celestine Murad Mehmed Suleiman Constantine Theodosius
"""
SOVEREIGNS = frozenset(_SOVEREIGNS.split())
"""Their numbers are ordinals."""
_NUMBERED_THINGS = """
Chapter Part Act Scene Volume Book War Section Phase Type Class Article Appendix Figure Table Level Stage
Grade Bowl Title Schedule Annex Unit Mark Rocky Apollo
"""
NUMBERED_THINGS = frozenset(_NUMBERED_THINGS.split())
"""Their Roman numerals are cardinals, even those of one letter."""
