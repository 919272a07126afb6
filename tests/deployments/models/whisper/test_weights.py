"""Published checkpoints: found, downloaded and verified."""

import hashlib
import logging
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import whisper
from whisper import Whisper as Network

from audiograph.errors import WeightsMissing
from deployments.config import WeightsPolicy
from deployments.models.loading import Loaded
from deployments.models.loading import load as load_variant
from deployments.models.weights import hub
from deployments.models.whisper import weights
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.models.whisper.tiny import build_checkpoint

MODEL = Whisper(WhisperOptions())
HEADS = b"ABzY8bu8Lr0{>%RKn9Fp%m@SkK7Kt=7ytkO"  # whisper's own for "tiny": 4 layers of 6 heads


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve a checkpoint on loopback, at a URL of the published form."""
    checkpoint = build_checkpoint("tiny", tmp_path / "built")
    sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    site = tmp_path / "site"
    (site / sha256).mkdir(parents=True)
    shutil.copy(checkpoint, site / sha256 / "tiny.pt")
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(weights, "SERVER", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(weights, "DIGESTS", {"tiny": sha256})
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(whisper.model.Whisper, "set_alignment_heads", _remember_heads)
        yield site / sha256 / "tiny.pt"
        server.shutdown()


def _remember_heads(model: Network, dump: bytes) -> None:
    model.heads = dump


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_reachable", lambda url, work_dir: True)


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "hub_reachable", lambda url, work_dir: False)


def load(policy: WeightsPolicy, tmp_path: Path) -> Loaded[Network]:
    return load_variant(MODEL, "tiny", "cpu", policy, tmp_path / "work")


def visible(tmp_path: Path) -> list[str]:
    folder = tmp_path / "work" / "weights" / "whisper"
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_addresses_and_digests_are_those_of_the_package() -> None:
    assert {variant: weights.checkpoint(variant).url for variant in MODEL.variants} == {
        variant: whisper._MODELS[variant] for variant in MODEL.variants
    }


@pytest.mark.parametrize("policy", ["pretrained", "auto"])
@pytest.mark.parametrize("folder", ["work/weights/whisper", "cache/whisper"])
@pytest.mark.usefixtures("unreachable")
def test_a_file_that_exists_is_loaded(
    policy: WeightsPolicy, folder: str, published: Path, tmp_path: Path
) -> None:
    (tmp_path / folder).mkdir(parents=True)
    shutil.copy(published, tmp_path / folder / "tiny.pt")
    loaded = load(policy, tmp_path)
    assert loaded.weights == "pretrained"
    assert loaded.engine.heads == HEADS


@pytest.mark.parametrize("policy", ["pretrained", "auto"])
@pytest.mark.usefixtures("reachable")
def test_a_missing_file_is_downloaded_once(policy: WeightsPolicy, published: Path, tmp_path: Path) -> None:
    assert load(policy, tmp_path).weights == "pretrained"
    assert visible(tmp_path) == ["tiny.pt", "tiny.pt.origin.json"]
    published.unlink()
    assert load(policy, tmp_path).weights == "pretrained"


@pytest.mark.usefixtures("unreachable")
def test_a_damaged_file_is_not_trusted(published: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "work" / "weights" / "whisper" / "tiny.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(published.read_bytes()[:-1])
    with pytest.raises(WeightsMissing, match=r"tiny\.pt \(damaged\)"):
        load("pretrained", tmp_path)


@pytest.mark.usefixtures("reachable")
def test_a_damaged_download_leaves_nothing_behind(published: Path, tmp_path: Path) -> None:
    published.write_bytes(b"an error page")
    with pytest.raises(WeightsMissing, match="SHA-256"):
        load("pretrained", tmp_path)
    assert visible(tmp_path) == []


@pytest.mark.usefixtures("published")
def test_the_server_is_checked_once_for_all_variants(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    checked: list[str] = []
    monkeypatch.setattr(hub, "hub_reachable", lambda url, work_dir: checked.append(url))
    load("auto", tmp_path)
    address = weights.SERVER
    assert checked == [f"{address}/"]


@pytest.mark.usefixtures("published", "unreachable")
def test_the_error_names_url_and_paths(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing) as refusal:
        load("pretrained", tmp_path)
    message = refusal.value.message
    assert weights.checkpoint("tiny").url in message
    assert str(tmp_path / "work" / "weights" / "whisper" / "tiny.pt") in message
    assert str(tmp_path / "cache" / "whisper" / "tiny.pt") in message


@pytest.mark.usefixtures("reachable")
def test_the_error_of_a_download_is_reported(published: Path, tmp_path: Path) -> None:
    published.unlink()
    with pytest.raises(WeightsMissing, match="404"):
        load("pretrained", tmp_path)


@pytest.mark.usefixtures("published", "unreachable")
def test_auto_falls_back_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert load("auto", tmp_path).weights == "random"
    assert "RANDOM" in caplog.text


@pytest.mark.usefixtures("published")
def test_tiny_never_checks_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "hub_reachable", pytest.fail)
    loaded = load("tiny", tmp_path)
    assert loaded.weights == "random"
    heads = loaded.engine.alignment_heads.indices().T
    assert heads.tolist() == [[1, 0], [1, 1]]  # layer and head: the upper one of two layers
