# ruff: noqa: RUF001  # full-width punctuation is what this is about
"""Text as Higgs Audio reads it: ASCII punctuation, its own tags for sounds, a mark at the end.

The replacements are those that the model's authors make (boson-ai/higgs-audio, ``examples/generation.py``).
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


def _uncontrolled(text: str) -> str:
    return text.replace("<|", " ").replace("|>", " ")
