"""Published checkpoints of the hub: from its cache, downloaded, or missed with a way out."""

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from audiograph.errors import WeightsMissing
from deployments.models.base import LoadContext
from deployments.models.kit import hugging_face, weights
from deployments.models.kit.hugging_face import pretrained_folder
from deployments.models.musicgen.model import MusicGen, MusicGenOptions


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with one repository, whose answers are set by the test."""

    class Hub:
        def __init__(self):
            self.cached = False
            self.reachable = True
            self.calls = []

        def snapshot_download(self, repository, *, local_files_only=False, allow_patterns=None):
            self.calls.append(local_files_only)
            if local_files_only and not self.cached:
                raise LocalEntryNotFoundError("not in the cache")
            if not local_files_only and repository != "facebook/musicgen-small":
                raise OSError("the line is dead")
            return str(tmp_path)

    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    monkeypatch.setattr(hugging_face, "hub_reachable", lambda url, work_dir: hub.reachable)
    return hub


def test_the_cache_is_enough(hub, tmp_path):
    hub.cached, hub.reachable = True, False
    assert pretrained_folder("facebook/musicgen-small", tmp_path) == tmp_path
    assert hub.calls == [True]


def test_what_is_not_there_is_fetched(hub, tmp_path):
    assert pretrained_folder("facebook/musicgen-small", tmp_path) == tmp_path
    assert hub.calls == [True, False]


def test_a_hub_that_cannot_be_reached_is_not_tried(hub, tmp_path):
    hub.reachable = False
    with pytest.raises(WeightsMissing, match=r"cannot be reached.*hf download facebook/musicgen-small"):
        pretrained_folder("facebook/musicgen-small", tmp_path)
    assert hub.calls == [True]


def test_a_failed_download_says_why(hub, tmp_path):
    with pytest.raises(WeightsMissing, match=r"its download failed .the line is dead"):
        pretrained_folder("facebook/none", tmp_path)


@pytest.mark.parametrize(("policy", "given"), [("auto", "random"), ("tiny", "random")])
def test_random_weights_stand_in_and_say_so(hub, tmp_path, policy, given, caplog):
    hub.reachable = False
    loaded = MusicGen(MusicGenOptions()).load("small", LoadContext("cpu", policy, tmp_path))
    assert loaded.weights == given
    assert ("RANDOM" in caplog.text) == (policy == "auto")


def test_pretrained_means_pretrained(hub, tmp_path):
    hub.reachable = False
    with pytest.raises(WeightsMissing):
        MusicGen(MusicGenOptions()).load("small", LoadContext("cpu", "pretrained", tmp_path))


def test_without_a_hub_the_answer_is_there_within_its_bound(monkeypatch, tmp_path):
    """The real code, against an address where nothing listens."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    weights._results.clear()
    with pytest.raises(WeightsMissing, match=r"127\.0\.0\.1:9 cannot be reached"):
        pretrained_folder("facebook/musicgen-small", tmp_path)
