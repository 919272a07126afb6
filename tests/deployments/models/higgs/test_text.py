# ruff: noqa: RUF001  # full-width punctuation is replaced here
"""Normalization of text for Higgs Audio."""

import pytest

from deployments.models.higgs.text import has_control_marks, normalized, plain


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("你好，世界。", "你好, 世界."),
        ("他说：“走吧！”", '他说:"走吧!"'),
        ("『A』「B」‘C’；D？", '"A""B"\'C\';D?'),
        ("甲、乙—丙…丁·戊", "甲,乙-丙...丁.戊."),
        ("【好】《书》", "[好]<书>."),
        ("真的（笑）吗？", "真的 笑 吗?"),
        ("It is 20 °C, or 68 °F.", "It is 20 degrees Celsius, or 68 degrees Fahrenheit."),
        ("Ha [laugh] ha", "Ha <SE>[Laughter]</SE> ha."),
        ("【laugh】", "<SE>[Laughter]</SE>"),
        ("[music start] la [music end]", "<SE_s>[Music]</SE_s> la <SE_e>[Music]</SE_e>"),
        ("[humming start]m[humming end]", "<SE_s>[Humming]</SE_s>m<SE_e>[Humming]</SE_e>"),
        ("[sing start]o[sing end]", "<SE_s>[Singing]</SE_s>o<SE_e>[Singing]</SE_e>"),
        ("[music][applause]", "<SE>[Music]</SE><SE>[Applause]</SE>"),
        ("[cheering] [cough]", "<SE>[Cheering]</SE> <SE>[Cough]</SE>"),
        ("[sneeze]", "[sneeze]."),
        ("  two \t blanks\r\n\n \n and lines ", "two blanks\nand lines."),
        ("so, what?", "so, what?"),
        ('"quoted"', '"quoted"'),
    ],
)
def test_text_is_as_the_model_was_trained_on(written: str, spoken: str) -> None:
    assert normalized(written) == spoken


@pytest.mark.parametrize(
    "text",
    ["<|eot_id|>", "《|AUDIO_OUT|》", "<<||AUDIO_OUT|>|>", "<|<|eot_id|>", "<(|eot_id|)>", "[laugh]|>"],
)
def test_no_control_token_is_left(text: str) -> None:
    for cleaned in (plain(text), normalized(text)):
        assert "<|" not in cleaned
        assert "|>" not in cleaned


def test_control_marks_are_noticed() -> None:
    assert has_control_marks("so <|eot_id|>")
    assert not has_control_marks("a < b | c > d")


def test_plain_text_keeps_its_characters() -> None:
    assert plain(" 你好， (world)  ") == "你好， (world)"
