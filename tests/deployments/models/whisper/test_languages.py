"""Whisper's languages, against the tables of openai-whisper."""

from whisper import tokenizer

from deployments.models.whisper.languages import LANGUAGES, language_code


def test_languages_are_those_of_the_package() -> None:
    assert list(LANGUAGES.items()) == list(tokenizer.LANGUAGES.items())
    assert all(language_code(name) == code for name, code in tokenizer.TO_LANGUAGE_CODE.items())
    assert all(language_code(code.upper()) == code for code in tokenizer.LANGUAGES)
