# ruff: noqa: RUF001  # phonemes and marks
"""The symbols that Kokoro was trained on: phonemes in the notation of its front end misaki, and marks."""

from collections.abc import Mapping

MARKS = ';:,.!?—…"()“”'
"""Punctuation; each mark is a symbol."""
TOKENS = 178
"""Size of the vocabulary; some tokens have no symbol."""
PAD = 0
"""The token at either end of a text."""

# config.json of the published model: each group of symbols with the token of its first one.
_GROUPS = {
    1: ";:,.!?",
    9: '—…"()“” \u0303ʣʥʦʨᵝ\uab67AI',
    31: "O",
    33: "Q",
    35: "ST",
    39: "W",
    41: "Yᵊabcdef",
    50: "hijklmnopqrstuvwxyzɑɐɒæ",
    75: "βɔɕç",
    80: "ɖðʤə",
    85: "ɚɛɜ",
    90: "ɟ",
    92: "ɡ",
    99: "ɥ",
    101: "ɨɪʝ",
    110: "ɯɰŋɳɲɴø",
    118: "ɸθœ",
    123: "ɹ",
    125: "ɾɻ",
    128: "ʁɽʂʃʈʧ",
    135: "ʊʋ",
    138: "ʌɣɤ",
    142: "χʎ",
    147: "ʒʔ",
    156: "ˈˌː",
    162: "ʰ",
    164: "ʲ",
    169: "↓",
    171: "→↗↘",
    177: "ᵻ",
}
VOCABULARY: Mapping[str, int] = {
    symbol: first + offset for first, symbols in _GROUPS.items() for offset, symbol in enumerate(symbols)
}
"""Tokens by symbol."""


def tokens_of(symbols: str) -> list[int]:
    """Return the tokens of symbols, which all are in the vocabulary, between two pads."""
    return [PAD, *(VOCABULARY[symbol] for symbol in symbols), PAD]
