"""Requests and parameters of Chatterbox, without its package. Its engine: tests/environments/chatterbox."""

from typing import Any

import pytest

from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, SpeakRequest
from deployments.models.chatterbox.model import Chatterbox
from deployments.models.chatterbox.parameters import ChatterboxParameters

MODEL = Chatterbox(Chatterbox.options_class())


def check(**fields: Any) -> None:
    MODEL.check_request(SpeakRequest(**{"text": "Hello."} | fields), "english")


def test_parameters_have_the_defaults_of_the_package_except_the_temperature() -> None:
    assert ChatterboxParameters.checked({}, "chatterbox").model_dump() == {
        "exaggeration": 0.5,
        "temperature": 0.75,
        "cfg_weight": 0.5,
        "disable_watermark": False,
        "max_new_tokens": 1000,
        "top_p": 1.0,
        "min_p": 0.05,
        "repetition_penalty": 1.2,
        "top_k": None,
    }


@pytest.mark.parametrize(
    "parameters",
    [
        {"exaggeration": 0, "cfg_weight": 0, "temperature": 0},
        {"exaggeration": 2, "cfg_weight": 2, "temperature": 5},
        {"top_p": 0, "min_p": 1, "repetition_penalty": 0.5, "top_k": 0, "max_new_tokens": 8192},
        {"disable_watermark": True, "max_new_tokens": 1},
    ],
)
def test_parameters_in_range_are_accepted(parameters: dict[str, Any]) -> None:
    check(parameters=parameters)


@pytest.mark.parametrize(
    ("parameters", "fault"),
    [
        ({"exaggeration": 2.1}, r"parameters\.exaggeration should be less than or equal to 2, not 2\.1"),
        ({"cfg_weight": -0.1}, r"parameters\.cfg_weight should be greater than or equal to 0, not -0\.1"),
        ({"temperature": float("nan")}, r"parameters\.temperature should be a finite number"),
        ({"temperature": "hot"}, r"parameters\.temperature should be a valid number, not 'hot'"),
        ({"disable_watermark": "yes"}, r"parameters\.disable_watermark should be a valid boolean"),
        ({"max_new_tokens": 0}, r"parameters\.max_new_tokens should be greater than or equal to 1"),
        ({"top_p": 1.5}, r"parameters\.top_p should be less than or equal to 1"),
        ({"top_k": 2.5}, r"parameters\.top_k should be a valid integer"),
        ({"repetition_penalty": 0}, r"parameters\.repetition_penalty should be greater than 0"),
        ({"scene_prompt": "a room"}, r"parameters\.scene_prompt is unknown; chatterbox takes exaggeration,"),
    ],
)
def test_other_parameters_are_refused_by_their_name(parameters: dict[str, Any], fault: str) -> None:
    with pytest.raises(InvalidRequest, match=fault) as refused:
        check(parameters=parameters)
    assert refused.value.field == f"parameters.{next(iter(parameters))}"


@pytest.mark.parametrize(
    ("text", "fault"), [("…", "nothing that can be spoken"), ("a" * 1001, "at most 1000")]
)
def test_unspeakable_and_too_long_texts_are_refused_by_their_field(text: str, fault: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^text has .*{fault}"):
        check(text=text)
    request = DialogueRequest(turns=[{"text": "Yes."}, {"text": text}])
    with pytest.raises(InvalidRequest, match=rf"^turns\.1\.text has .*{fault}") as refused:
        MODEL.check_request(request, "english")
    assert refused.value.field == "turns.1.text"


def test_supported_parameters_are_not_changed() -> None:
    parameters = ChatterboxParameters()
    assert parameters.supported() == (parameters, [])


def test_a_missing_package_is_reported_with_the_cure() -> None:
    assert "make envs" in (MODEL.missing() or "")
