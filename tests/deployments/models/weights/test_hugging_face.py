"""Published checkpoints of the hub: from its cache, downloaded, or missing with a cure."""

import hashlib
from pathlib import Path

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from audiograph.errors import WeightsMissing
from deployments.config import WeightsPolicy
from deployments.models.loading import load
from deployments.models.musicgen.model import MusicGen, MusicGenOptions
from deployments.models.weights import hugging_face, reachability
from deployments.models.weights.hugging_face import obtain_repository
from deployments.models.weights.published import PublishedRepository


def obtained(name: str, work_dir: Path) -> Path:
    repository = PublishedRepository(name, "MIT")
    return obtain_repository(repository, work_dir, lambda done, total: None).path


class FakeHub:
    """A hub with one repository, whose answers a test sets; `calls` has ``local_files_only`` of each call."""

    def __init__(self, folder: Path) -> None:
        self.cached = False
        self.reachable = True
        self.calls: list[bool] = []
        self._folder = folder

    def snapshot_download(
        self,
        repository: str,
        *,
        local_files_only: bool = False,
        allow_patterns: object = None,
        force_download: bool = False,
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
    assert obtained("facebook/musicgen-small", tmp_path) == tmp_path
    assert hub.calls == [True]


def test_a_missing_checkpoint_is_downloaded(hub: FakeHub, tmp_path: Path) -> None:
    assert obtained("facebook/musicgen-small", tmp_path) == tmp_path
    assert hub.calls == [True, False]


def test_a_hub_that_cannot_be_reached_is_not_tried(hub: FakeHub, tmp_path: Path) -> None:
    hub.reachable = False
    with pytest.raises(WeightsMissing, match=r"cannot be reached.*hf download facebook/musicgen-small"):
        obtained("facebook/musicgen-small", tmp_path)
    assert hub.calls == [True]


def test_a_failed_download_says_why(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"its download failed .the line is dead"):
        obtained("facebook/none", tmp_path)


@pytest.mark.parametrize(("policy", "given"), [("auto", "random"), ("tiny", "random")])
def test_random_weights_replace_missing_ones_and_the_log_says_so(
    hub: FakeHub, tmp_path: Path, policy: WeightsPolicy, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    hub.reachable = False
    loaded = load(MusicGen(MusicGenOptions()), "small", "cpu", policy, tmp_path)
    assert loaded.weights == given
    assert ("RANDOM" in caplog.text) == (policy == "auto")


def test_pretrained_means_pretrained(hub: FakeHub, tmp_path: Path) -> None:
    hub.reachable = False
    with pytest.raises(WeightsMissing):
        load(MusicGen(MusicGenOptions()), "small", "cpu", "pretrained", tmp_path)


def test_without_a_hub_the_error_comes_within_its_time_limit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The real code, with an address on which no server listens."""
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    reachability._results.clear()
    with pytest.raises(WeightsMissing, match=r"127\.0\.0\.1:9 cannot be reached"):
        obtained("facebook/musicgen-small", tmp_path)


def test_a_file_without_the_hubs_digest_is_downloaded_again(hub: FakeHub, tmp_path: Path) -> None:
    """The cache names a file by its digest, and a snapshot links to it."""
    content = b"numbers"
    blob = tmp_path / "blobs" / hashlib.sha256(content).hexdigest()
    blob.parent.mkdir()
    (tmp_path / "model.safetensors").symlink_to(blob)
    hub.cached = True
    blob.write_bytes(content)
    assert obtained("facebook/musicgen-small", tmp_path / "work") == tmp_path
    assert hub.calls == [True]
    blob.write_bytes(b"numbexs")
    with pytest.raises(
        WeightsMissing, match=r"model\.safetensors does not have the digest that the hub names"
    ):
        obtained("facebook/musicgen-small", tmp_path / "work")
    assert hub.calls == [True, True, False]


def test_small_files_have_gits_digest(hub: FakeHub, tmp_path: Path) -> None:
    content = b"{}"
    digest = hashlib.sha1(b"blob 2\0" + content, usedforsecurity=False).hexdigest()
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / digest).write_bytes(content)
    (tmp_path / "config.json").symlink_to(tmp_path / "blobs" / digest)
    hub.cached, hub.reachable = True, False
    assert obtained("facebook/musicgen-small", tmp_path / "work") == tmp_path
    (tmp_path / "blobs" / digest).write_bytes(b"{]")
    with pytest.raises(WeightsMissing, match="cannot be reached"):
        obtained("facebook/musicgen-small", tmp_path / "work")
