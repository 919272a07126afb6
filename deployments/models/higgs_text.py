# ruff: noqa: RUF001  # full-width punctuation is what this is about
"""Text as Higgs Audio reads it: ASCII punctuation, its own tags for sounds, a mark at the end.

The replacements are those that the model's authors make (boson-ai/higgs-audio, ``examples/generation.py``).
"""

import unicodedata

FRAMES_PER_LETTER = 1.7
"""25 frames a second, in which some 15 letters are spoken."""
FRAMES_PER_WIDE_LETTER = 6.0
"""Of Chinese, Japanese and Korean, of which some 4 are spoken in a second."""

_PUNCTUATION = str.maketrans(
    {
        "，": ", ",
        "。": ".",
        "：": ":",
        "；": ";",
        "？": "?",
        "！": "!",
        "（": "(",
        "）": ")",
        "【": "[",
        "】": "]",
        "《": "<",
        "》": ">",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "「": '"',
        "」": '"',
        "『": '"',
        "』": '"',
        "、": ",",
        "—": "-",
        "…": "...",
        "·": ".",
    }
)

_SPOKEN = {
    "(": " ",
    ")": " ",
    "°F": " degrees Fahrenheit",
    "°C": " degrees Celsius",
    "[laugh]": "<SE>[Laughter]</SE>",
    "[humming start]": "<SE_s>[Humming]</SE_s>",  # <SE> in theirs, unlike all other beginnings
    "[humming end]": "<SE_e>[Humming]</SE_e>",
    "[music start]": "<SE_s>[Music]</SE_s>",
    "[music end]": "<SE_e>[Music]</SE_e>",
    "[music]": "<SE>[Music]</SE>",
    "[sing start]": "<SE_s>[Singing]</SE_s>",
    "[sing end]": "<SE_e>[Singing]</SE_e>",
    "[applause]": "<SE>[Applause]</SE>",
    "[cheering]": "<SE>[Cheering]</SE>",
    "[cough]": "<SE>[Cough]</SE>",
}
"""Asides without their parentheses, units in words, and sounds as the model was taught to make them."""

_ENDINGS = (".", "!", "?", ",", ";", '"', "'", "</SE_e>", "</SE>")


def normalized(text: str) -> str:
    """Text to be spoken, as the model has seen it in training."""
    text = text.translate(_PUNCTUATION)
    for written, spoken in _SPOKEN.items():
        text = text.replace(written, spoken)
    text = plain(text)
    return text if text.endswith(_ENDINGS) else text + "."


def plain(text: str) -> str:
    """Text without needless blanks, empty lines and what would be read as a control token, ``<|…|>``."""
    lines = (" ".join(line.split()) for line in _uncontrolled(text).splitlines())
    return "\n".join(filter(None, lines))


def has_control_marks(text: str) -> bool:
    """Whether `plain` would leave out the marks of a control token."""
    return _uncontrolled(text) != text


def expected_frames(text: str) -> int:
    """About how many frames of audio it takes to speak a text, for telling progress."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return 1 + round(FRAMES_PER_WIDE_LETTER * wide + FRAMES_PER_LETTER * (len(text) - wide))


def _uncontrolled(text: str) -> str:
    return text.replace("<|", " ").replace("|>", " ")
