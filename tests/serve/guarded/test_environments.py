"""Models in Python environments of their own, beside others, in one application."""

from importlib.metadata import version

import pytest

from audiograph import Audiograph
from audiograph.errors import ModelUnavailable
from audiograph.schemas import SpeakResult
from deployments.environments import LOCKS

pytestmark = pytest.mark.cluster

PATIENCE = 180


def said(client: Audiograph, model: str) -> str:
    """The version of transformers that a model has."""
    job = client.speak("Which one?", model=model, timeout=PATIENCE)
    assert isinstance(job.result, SpeakResult)
    (note,) = job.result.notes
    return note


def test_two_deployments_have_different_versions_of_one_library(guest: Audiograph) -> None:
    there, apart = said(guest, "versions"), said(guest, "versions-apart")
    assert there == version("transformers") != apart
    assert f"\ntransformers=={apart}\n" in (LOCKS / "chatterbox.txt").read_text()


def test_where_an_environment_is_missing_its_model_says_so_and_the_others_serve(guest: Audiograph) -> None:
    model = guest.models.get("versions-nowhere")
    assert (model.available, model.replicas) == (False, [])
    assert "run `make envs`" in (model.message or "")
    for ask in (lambda: guest.speak("x", model="versions-nowhere"), lambda: guest.models.load(model.id)):
        with pytest.raises(ModelUnavailable, match=r"'nowhere' has no lock.*run `make envs`") as refused:
            ask()
        assert refused.value.status == 503
    assert guest.speak("The others serve.", timeout=PATIENCE).status == "succeeded"
