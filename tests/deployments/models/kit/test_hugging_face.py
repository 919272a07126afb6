"""Published checkpoints of the hub: from its cache, downloaded, or missing with a cure."""

from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from audiograph.errors import WeightsMissing
from deployments.config import WeightsPolicy
from deployments.models.base import LoadContext
from deployments.models.kit import hugging_face, weights
from deployments.models.kit.hugging_face import pretrained_folder
from deployments.models.musicgen.model import MusicGen, MusicGenOptions


class FakeHub:
    """A hub with one repository, whose answers a test sets; `calls` has ``local_files_only`` of each call."""

    def __init__(self, folder: Path) -> None:
        self.cached = False
        self.reachable = True
        self.calls: list[bool] = []
        self._folder = folder

    def snapshot_download(
        self, repository: str, *, local_files_only: bool = False, allow_patterns: object = None
    ) -> str:
        self.calls.append(local_files_only)
        if local_files_only and not self.cached:
            raise LocalEntryNotFoundError("not in the cache")
        if not local_files_only and repository != "facebook/musicgen-small":
            raise OSError("the line is dead")
        return str(self._folder)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeHub:
    hub = FakeHub(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    monkeypatch.setattr(hugging_face, "hub_reachable", lambda url, work_dir: hub.reachable)
    return hub


def test_the_cache_is_enough(hub: FakeHub, tmp_path: Path) -> None:
    hub.cached, hub.reachable = True, False
    assert pretrained_folder("facebook/musicgen-small", tmp_path) == tmp_path
    assert hub.calls == [True]


def test_a_missing_checkpoint_is_downloaded(hub: FakeHub, tmp_path: Path) -> None:
    assert pretrained_folder("facebook/musicgen-small", tmp_path) == tmp_path
    assert hub.calls == [True, False]


def test_a_hub_that_cannot_be_reached_is_not_tried(hub: FakeHub, tmp_path: Path) -> None:
    hub.reachable = False
    with pytest.raises(WeightsMissing, match=r"cannot be reached.*hf download facebook/musicgen-small"):
        pretrained_folder("facebook/musicgen-small", tmp_path)
    assert hub.calls == [True]


def test_a_failed_download_says_why(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"its download failed .the line is dead"):
        pretrained_folder("facebook/none", tmp_path)


@pytest.mark.parametrize(("policy", "given"), [("auto", "random"), ("tiny", "random")])
def test_random_weights_replace_missing_ones_and_the_log_says_so(
    hub: FakeHub, tmp_path: Path, policy: WeightsPolicy, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    hub.reachable = False
    loaded = MusicGen(MusicGenOptions()).load("small", LoadContext("cpu", policy, tmp_path))
    assert loaded.weights == given
    assert ("RANDOM" in caplog.text) == (policy == "auto")


def test_pretrained_means_pretrained(hub: FakeHub, tmp_path: Path) -> None:
    hub.reachable = False
    with pytest.raises(WeightsMissing):
        MusicGen(MusicGenOptions()).load("small", LoadContext("cpu", "pretrained", tmp_path))


def test_without_a_hub_the_error_comes_within_its_time_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The real code, with an address on which no server listens."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    weights._results.clear()
    with pytest.raises(WeightsMissing, match=r"127\.0\.0\.1:9 cannot be reached"):
        pretrained_folder("facebook/musicgen-small", tmp_path)
