"""Whisper's languages, against the tables of openai-whisper."""

import pytest
from whisper import tokenizer

from deployments.models.whisper.languages import LANGUAGES, language_code, nearest_language


def test_languages_are_those_of_the_package() -> None:
    assert list(LANGUAGES.items()) == list(tokenizer.LANGUAGES.items())
    assert all(language_code(name) == code for name, code in tokenizer.TO_LANGUAGE_CODE.items())
    assert all(language_code(code.upper()) == code for code in tokenizer.LANGUAGES)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("en-US", "en"),
        ("pt-BR", "pt"),
        ("pt_br", "pt"),
        ("zh_Hant_TW", "zh"),
        ("sr-Latn", "sr"),
        ("EN", "en"),
        ("haitian  Creole", "ht"),
        ("eng", "en"),
        ("deu", "de"),
        ("ger", "de"),
        ("iw", "he"),
        ("he-IL", "he"),
        ("cmn", "zh"),
        ("yue-HK", "yue"),
        ("zh-yue", "yue"),
        ("jv", "jw"),
        ("nb", "no"),
        ("nb-NO", "no"),
        ("nn-NO", "nn"),
        ("fil", "tl"),
        ("Deutsch", "de"),
        ("日本語", "ja"),
    ],
)
def test_every_common_way_to_name_a_language_is_understood(language: str, code: str) -> None:
    assert language_code(language) == code


@pytest.mark.parametrize("language", ["", " ", "auto", "AUTO"])
def test_an_empty_language_is_detected(language: str) -> None:
    assert language_code(language) is None


@pytest.mark.parametrize(
    ("language", "nearest"),
    [("gsw", "de"), ("germn", "de"), ("engrish", "en"), ("klingon", None), ("xx", None), ("--", None)],
)
def test_an_unknown_language_has_the_nearest_known_one(language: str, nearest: str | None) -> None:
    with pytest.raises(ValueError, match=language):
        language_code(language)
    assert nearest_language(language) == nearest
