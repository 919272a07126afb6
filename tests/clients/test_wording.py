"""Values in messages are short, whatever their type and size."""

from typing import Any

import pytest

from audiograph._wording import MAX_SHOWN, brief, shortened, shown


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("x" * 2**20, id="a text"),
        pytest.param(10**3999, id="4000 digits"),
        pytest.param(-(10**5000), id="5001 digits"),
        pytest.param([10**5000] * 20, id="many digits"),
        [1] * 10_000,
        {str(number): number for number in range(10_000)},
        nested(5000),
        [["x" * 1000] * 1000] * 1000,
        "\n" * 100,
    ],
)
def test_a_long_value_is_cut(value: Any) -> None:
    text = shown(value)
    assert len(text) <= MAX_SHOWN
    assert "\n" not in text
    assert isinstance(brief(value), str)


@pytest.mark.parametrize("value", ["", "a b", 7, -1.5, None, True, [1, "a"], {"a": [1]}])
def test_a_short_value_is_whole(value: Any) -> None:
    assert shown(value) == repr(value)
    assert brief(value) is value


def test_a_text_is_cut_to_its_limit() -> None:
    assert shortened("abcdef", 6) == "abcdef"
    assert shortened("abcdefg", 6) == "abcde…"
