"""Published checkpoints of Demucs: found, downloaded once, and verified."""

import hashlib
from pathlib import Path

import pytest

from audiograph.errors import WeightsMissing
from deployments.models.base import LoadContext
from deployments.models.demucs import weights as demucs_weights
from deployments.models.demucs.model import Demucs, DemucsOptions
from deployments.models.demucs.tiny import build_repository
from deployments.models.kit import weights

MODEL = Demucs(DemucsOptions())

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that cannot be reached, and an empty cache."""
    monkeypatch.setattr(weights, "hub_reachable", lambda url, work_dir: False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


@pytest.mark.usefixtures("unreachable")
def test_without_a_hub_pretrained_weights_are_missing(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="cannot be reached") as caught:
        MODEL.load("htdemucs", LoadContext("cpu", "pretrained", tmp_path))
    assert str(tmp_path / "demucs" / "955717e8-8726e21a.th") in caught.value.message
    assert str(tmp_path / "torch" / "hub" / "checkpoints") in caught.value.message
    assert MODEL.load("htdemucs", LoadContext("cpu", "auto", tmp_path)).weights == "random"


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A tiny checkpoint that a file URL serves in place of the published one."""
    built = next(build_repository("htdemucs", tmp_path / "built").glob("*.th"))
    served = tmp_path / "served" / built.name
    served.parent.mkdir()
    served.write_bytes(built.read_bytes())
    monkeypatch.setattr(demucs_weights, "_checkpoint_urls", lambda variant: [served.as_uri()])
    monkeypatch.setattr(weights, "hub_reachable", lambda url, work_dir: True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return served


def test_published_weights_are_fetched_once(published: Path, tmp_path: Path) -> None:
    context = LoadContext("cpu", "pretrained", tmp_path / "work")
    assert MODEL.load("htdemucs", context).weights == "pretrained"
    published.unlink()
    assert MODEL.load("htdemucs", context).weights == "pretrained"
    kept = {path.name for path in (tmp_path / "work" / "demucs").iterdir()}
    assert kept == {published.name, "htdemucs.yaml"}


def test_what_demucs_has_fetched_is_used(published: Path, tmp_path: Path) -> None:
    cache = tmp_path / "torch" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    published.rename(cache / published.name)
    assert MODEL.load("htdemucs", LoadContext("cpu", "pretrained", tmp_path / "work")).weights == "pretrained"


def test_damaged_weights_are_never_loaded(published: Path, tmp_path: Path) -> None:
    content = published.read_bytes()
    published.write_bytes(content[:-1])
    damaged = tmp_path / "work" / "demucs" / published.name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    context = LoadContext("cpu", "pretrained", tmp_path / "work")
    with pytest.raises(WeightsMissing, match="SHA-256"):
        MODEL.load("htdemucs", context)
    published.write_bytes(content)
    assert MODEL.load("htdemucs", context).weights == "pretrained"
    assert hashlib.sha256(damaged.read_bytes()).hexdigest().startswith(published.stem.split("-")[1])


def test_the_published_files_are_those_of_the_package() -> None:
    assert demucs_weights._checkpoint_urls("htdemucs") == [
        "https://dl.fbaipublicfiles.com/demucs/hybrid_transformer/955717e8-8726e21a.th"
    ]
    counts = [len(demucs_weights._checkpoint_urls(variant)) for variant in MODEL.variants]
    assert counts == [1, 4, 1, 4, 4, 4, 4]
