"""Whisper's languages, against the tables of openai-whisper."""

import pytest
from whisper import tokenizer

from deployments.models.whisper.languages import (
    LANGUAGES,
    OWN_NAMES,
    closest_language,
    is_detected,
    language_code,
)


def test_languages_are_those_of_the_package() -> None:
    assert list(LANGUAGES.items()) == list(tokenizer.LANGUAGES.items())
    assert all(language_code(name) == code for name, code in tokenizer.TO_LANGUAGE_CODE.items())
    assert all(language_code(code.upper()) == code for code in tokenizer.LANGUAGES)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("en-US", "en"),
        ("pt-BR", "pt"),
        ("zh_Hant_TW", "zh"),
        ("cmn-Hans", "zh"),
        ("jv", "jw"),
        ("jw", "jw"),
        ("nb-NO", "no"),
        ("iw", "he"),
        ("fil", "tl"),
        ("deu", "de"),
        (" Portuguese ", "pt"),
        ("Haitian Creole", "ht"),
        ("yue-HK", "yue"),
        ("zh-yue", "yue"),
        ("zh-cmn-Hans", "zh"),
        ("sh", "sr"),
        ("sh-BA", "sr"),
        ("als", "sq"),
        ("klingon", None),
        ("xx", None),
        ("-", None),
    ],
)
def test_a_tag_or_a_name_is_the_language_that_it_means(language: str, code: str | None) -> None:
    assert language_code(language) == code


def test_no_language_is_detected() -> None:
    assert all(map(is_detected, ["", " ", "auto", "AUTO"]))
    assert not is_detected("en")


@pytest.mark.parametrize(
    ("language", "closest"),
    [
        ("Germn", "german"),
        ("Deutsch", "de"),
        ("Deutsh", "de"),
        ("Français", "fr"),
        ("中文", "zh"),
        ("Serbo-Croatian", "sr"),
        ("Chinese (Simplified)", "chinese"),
        ("Brazilian Portuguese", "portuguese"),
        ("klingon", None),
    ],
)
def test_an_unknown_language_has_a_closest_one(language: str, closest: str | None) -> None:
    assert closest_language(language) == closest


def test_what_is_suggested_is_known() -> None:
    assert {*OWN_NAMES.values()} <= {*LANGUAGES}
    assert not [name for name in OWN_NAMES if language_code(name)]
