"""Patterns of requests, in words."""

import json
import re
from typing import Any

import pytest
from pydantic import TypeAdapter

from audiograph import Audiograph, _checks
from audiograph._patterns import WORDS
from audiograph.errors import InvalidRequest
from audiograph.schemas import ANY_REQUEST, CreateVoiceRequest


def patterns(schema: Any) -> set[str]:
    text = json.dumps(schema)
    return {json.loads(found) for found in re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', text)}


def test_every_pattern_of_a_request_has_words() -> None:
    found = patterns(ANY_REQUEST.json_schema()) | patterns(CreateVoiceRequest.model_json_schema())
    kinds = (_checks.IdempotencyKey, _checks.EventId, _checks.VoiceId, _checks.ModelName)
    for kind in kinds:
        found |= patterns(TypeAdapter(kind).json_schema())
    assert found
    assert found <= {*WORDS}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"creator": "a\nb"}, "creator: should have no control characters"),
        ({"parent_id": "a b"}, "parent_id: should have only letters from A to Z, digits and"),
        ({"idempotency_key": "a b"}, "idempotency_key: should have 1 to 255 characters of ASCII"),
    ],
)
def test_a_text_of_other_characters_is_refused_in_words(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(says)):
        Audiograph().speak("Hello.", **fields)
