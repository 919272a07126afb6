"""Published checkpoints of Demucs: found, downloaded once, and verified."""

import hashlib
from pathlib import Path

import pytest
from demucs import pretrained

from audiograph.errors import WeightsMissing
from deployments.models.demucs import model as demucs_model
from deployments.models.demucs.model import Demucs, DemucsOptions
from deployments.models.demucs.tiny import build_repository
from deployments.models.demucs.weights import checkpoints
from deployments.models.loading import load
from deployments.models.weights import hub
from deployments.models.weights.published import PublishedFile

MODEL = Demucs(DemucsOptions())

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that cannot be reached, and an empty cache."""
    monkeypatch.setattr(hub, "hub_reachable", lambda url, work_dir: False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.mark.usefixtures("unreachable")
def test_without_a_hub_pretrained_weights_are_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="cannot be reached") as caught:
        load(MODEL, "htdemucs", "cpu", "pretrained", tmp_path)
    assert str(tmp_path / "weights" / "demucs" / "955717e8-8726e21a.th") in caught.value.message
    assert str(tmp_path / "torch" / "hub" / "checkpoints") in caught.value.message
    assert load(MODEL, "htdemucs", "cpu", "auto", tmp_path).weights == "random"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tiny checkpoint that a file URL serves in place of the published one."""
    built = next(build_repository("htdemucs", tmp_path / "built").glob("*.th"))
    served = tmp_path / "served" / built.name
    served.parent.mkdir()
    served.write_bytes(built.read_bytes())
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    digest = served.stem.partition("-")[2]
    file = PublishedFile(f"demucs/{served.name}", served.as_uri(), digest, "MIT", caches=(cache,))
    monkeypatch.setattr(demucs_model, "checkpoints", lambda variant: [file])
    monkeypatch.setattr(hub, "hub_reachable", lambda url, work_dir: True)
    return served


def test_published_weights_are_fetched_once(published: Path, tmp_path: Path) -> None:
    assert load(MODEL, "htdemucs", "cpu", "pretrained", tmp_path / "work").weights == "pretrained"
    published.unlink()
    assert load(MODEL, "htdemucs", "cpu", "pretrained", tmp_path / "work").weights == "pretrained"
    kept = {path.name for path in (tmp_path / "work" / "weights" / "demucs").glob("*.th")}
    assert kept == {published.name}


def test_what_demucs_has_fetched_is_used(published: Path, tmp_path: Path) -> None:
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    published.rename(cache / published.name)
    assert load(MODEL, "htdemucs", "cpu", "pretrained", tmp_path / "work").weights == "pretrained"


def test_damaged_weights_are_never_loaded(published: Path, tmp_path: Path) -> None:
    content = published.read_bytes()
    published.write_bytes(content[:-1])
    damaged = tmp_path / "work" / "weights" / "demucs" / published.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    with pytest.raises(WeightsMissing, match="SHA-256"):
        load(MODEL, "htdemucs", "cpu", "pretrained", tmp_path / "work")
    published.write_bytes(content)
    assert load(MODEL, "htdemucs", "cpu", "pretrained", tmp_path / "work").weights == "pretrained"
    assert hashlib.sha256(damaged.read_bytes()).hexdigest().startswith(published.stem.split("-")[1])


def test_the_published_files_are_those_of_the_package() -> None:
    (checkpoint,) = checkpoints("htdemucs")
    assert checkpoint.url == "https://dl.fbaipublicfiles.com/demucs/hybrid_transformer/955717e8-8726e21a.th"
    assert checkpoint.sha256 == "8726e21a"
    listed = pretrained._parse_remote_files(pretrained.REMOTE_ROOT / "files.txt").values()
    assert {file.url for variant in MODEL.variants for file in checkpoints(variant)} <= set(listed)
    assert [len(checkpoints(variant)) for variant in MODEL.variants] == [1, 4, 1, 4, 4, 4, 4]
