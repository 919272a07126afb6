"""Texts without anything to speak, by every family that speaks."""

from typing import Any

import pytest

from audiograph.errors import InvalidRequest, NotFound
from audiograph.schemas import DialogueRequest, SpeakRequest, Turn
from deployments.models.chatterbox import Chatterbox
from deployments.models.dia import Dia
from deployments.models.espeak import EspeakSpeech
from deployments.models.higgs import Higgs
from deployments.models.kit.texts import naming_turn
from deployments.models.mock import Mock

FAMILIES: list[Any] = [Chatterbox, Dia, EspeakSpeech, Higgs, Mock]
WORDLESS = ["...", "…", "??", "\u2014", " \n\t", "。", "«»", "\u200b", "\u3164", "\u115f\u1160", "\uffa0"]


def dialogue(*texts: str) -> DialogueRequest:
    return DialogueRequest(turns=[Turn(text=text) for text in texts])


def refused(family: Any, request: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest, match="nothing that can be spoken") as caught:
        family(family.options_class()).check_request(request, family.default_variant)
    return caught.value


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", WORDLESS)
def test_a_turn_without_words_is_refused_by_its_number(family: Any, text: str) -> None:
    error = refused(family, dialogue("Hello.", text, "Bye."))
    assert error.field == "turns.1.text"
    assert error.message.startswith("turns.1.text has nothing")


@pytest.mark.parametrize("family", [family for family in FAMILIES if "speak" in family.tasks])
def test_a_text_without_words_is_refused(family: Any) -> None:
    assert refused(family, SpeakRequest(text="...")).field == "text"


@pytest.mark.parametrize("family", [Chatterbox, Dia, Higgs, Mock])
def test_only_espeak_knows_emoji_by_name(family: Any) -> None:
    EspeakSpeech(EspeakSpeech.options_class()).check_request(dialogue("Hi.", "😀"), "espeak-ng")
    assert refused(family, dialogue("Hi.", "😀")).field == "turns.1.text"


@pytest.mark.parametrize("text", ["[S1]", " <pad>\x02", "[S2] …"])
def test_a_turn_of_tags_alone_is_refused_by_dia(text: str) -> None:
    assert refused(Dia, dialogue("Hello.", text)).field == "turns.1.text"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", ["1", "é", "你好", "नमस्ते", "(laughs)", "... well"])
def test_words_of_every_script_are_spoken(family: Any, text: str) -> None:
    family(family.options_class()).check_request(dialogue("Hello.", text), family.default_variant)


def test_an_error_about_a_text_names_its_turn() -> None:
    with pytest.raises(InvalidRequest) as caught, naming_turn(dialogue("a", "b"), 1):
        raise InvalidRequest("text takes too long", field="text")
    assert (caught.value.field, str(caught.value)) == ("turns.1.text", "turns.1.text takes too long")
    with pytest.raises(InvalidRequest) as caught, naming_turn(SpeakRequest(text="a"), 0):
        raise InvalidRequest("text takes too long", field="text")
    assert caught.value.field == "text"


def test_an_error_about_another_field_keeps_it() -> None:
    with pytest.raises(NotFound) as caught, naming_turn(dialogue("a"), 0):
        raise NotFound("gone", field="seed")
    assert caught.value.field == "seed"
