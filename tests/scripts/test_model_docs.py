"""The tables of the documents say what their classes do."""

from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from scripts import model_docs


class Inner(BaseModel):
    text: str


class Example(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True)

    steps: int = Field(ge=1, le=9, description="From ``description``.")
    share: float = Field(0.5, gt=0, lt=1)
    """From the docstring, over
    two lines."""
    word: str | None = Field(None, max_length=5)
    kind: Literal["a", "b"] = "a"
    inner: list[Inner] = Field(default_factory=list, min_length=1)
    on: bool = False
    left_out: int = 0


ROWS = [
    "| field | type | default | range | meaning |",
    "| --- | --- | --- | --- | --- |",
    "| `steps` | integer | required | 1 to 9 | From `description`. |",
    "| `share` | number | `0.5` | > 0, < 1 | From the docstring, over two lines. |",
    "| `word` | string |  | ≤ 5 characters |  |",
    "| `kind` | `a`, `b` | `a` |  |  |",
    "| `inner` | list of inners |  | ≥ 1 entries |  |",
    "| `on` | boolean | `false` |  |  |",
]


def test_a_row_has_type_default_range_and_meaning() -> None:
    assert model_docs.fields(Example, without={"left_out"}).split("\n") == ROWS


def test_a_column_without_entries_is_left_out() -> None:
    assert model_docs.fields(Inner).split("\n")[0] == "| field | type | default |"


def test_a_table_is_written_between_its_comments_alone() -> None:
    before = "a\n<!-- table: options mock -->\nold\n<!-- end -->\nold\n"
    after = model_docs.updated(before)
    assert "| `load_seconds` | number | `1` | 0 to 600 |" in after
    assert after.startswith("a\n<!-- table: options mock -->\n")
    assert after.endswith("|\n\n<!-- end -->\nold\n")
    assert model_docs.updated(after) == after


@pytest.mark.parametrize("name", ["request no_task", "parameters mock", "options no_model", "no_kind x"])
def test_a_table_of_nothing_is_an_error(name: str) -> None:
    with pytest.raises((KeyError, StopIteration, ValueError)):
        model_docs.updated(f"<!-- table: {name} -->\n<!-- end -->")
