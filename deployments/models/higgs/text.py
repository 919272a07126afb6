# ruff: noqa: RUF001  # full-width punctuation is replaced here
"""Normalizes text for Higgs Audio: ASCII punctuation, tags for sounds, and punctuation at the end.

The replacements are those of the model's authors (boson-ai/higgs-audio, ``examples/generation.py``).
"""

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
    "[humming start]": "<SE_s>[Humming]</SE_s>",  # the authors have <SE> here, unlike at all other starts
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
"""Parentheses are removed, units become words, and sounds become the tags of the training data."""

_ENDINGS = (".", "!", "?", ",", ";", '"', "'", "</SE_e>", "</SE>")


def normalized(text: str) -> str:
    """Return a text in the form of the model's training data."""
    text = text.translate(_PUNCTUATION)
    for written, spoken in _SPOKEN.items():
        text = text.replace(written, spoken)
    text = plain(text)
    return text if text.endswith(_ENDINGS) else text + "."


def plain(text: str) -> str:
    """Return a text without extra whitespace, empty lines and the marks of control tokens, ``<|…|>``."""
    lines = (" ".join(line.split()) for line in _without_control_marks(text).splitlines())
    return "\n".join(filter(None, lines))


def has_control_marks(text: str) -> bool:
    """Return whether `plain` removes the marks of a control token from a text."""
    return _without_control_marks(text) != text


def _without_control_marks(text: str) -> str:
    return text.replace("<|", " ").replace("|>", " ")
