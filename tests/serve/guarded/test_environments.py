"""Models with their own Python environments beside others in one application."""

from importlib.metadata import version

import pytest

from audiograph import Audiograph
from audiograph.errors import ModelUnavailable
from audiograph.schemas import SpeakResult
from deployments.environments import LOCKS

pytestmark = pytest.mark.cluster

PATIENCE = 180


def reported_version(client: Audiograph, model: str) -> str:
    """Return the version of transformers in a model's environment."""
    job = client.speak("Which one?", model=model, timeout=PATIENCE)
    assert isinstance(job.result, SpeakResult)
    (note,) = job.result.notes
    return note


def test_two_deployments_have_different_versions_of_one_library(guest: Audiograph) -> None:
    shared, own = reported_version(guest, "versions"), reported_version(guest, "versions-apart")
    assert shared == version("transformers") != own
    assert f"\ntransformers=={own}\n" in (LOCKS / "chatterbox.txt").read_text()


def test_a_model_without_its_environment_says_so_and_the_others_serve(guest: Audiograph) -> None:
    model = guest.models.get("versions-nowhere")
    assert (model.available, model.replicas) == (False, [])
    assert "run `make envs`" in (model.message or "")
    for call in (lambda: guest.speak("x", model="versions-nowhere"), lambda: guest.models.load(model.id)):
        with pytest.raises(ModelUnavailable, match=r"'nowhere' has no lock.*run `make envs`") as refused:
            call()
        assert refused.value.status == 503
    assert guest.speak("The others serve.", timeout=PATIENCE).status == "succeeded"
