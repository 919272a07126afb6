import hashlib
import logging
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import whisper

from audiograph.errors import WeightsMissing
from deployments.models.base import LoadContext
from deployments.models.kit import weights
from deployments.models.whisper.model import Whisper, WhisperOptions
from deployments.models.whisper.tiny import build_checkpoint

MODEL = Whisper(WhisperOptions())
HEADS = b"ABzY8bu8Lr0{>%RKn9Fp%m@SkK7Kt=7ytkO"  # whisper's own for "tiny": 4 layers of 6 heads


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A checkpoint of the published shape under its published kind of name, served on loopback."""
    checkpoint = build_checkpoint("tiny", tmp_path / "built")
    sha256 = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    site = tmp_path / "site"
    (site / sha256).mkdir(parents=True)
    shutil.copy(checkpoint, site / sha256 / "tiny.pt")
    handler = partial(SimpleHTTPRequestHandler, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{sha256}/tiny.pt"
        monkeypatch.setitem(whisper._MODELS, "tiny", url)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr(whisper.model.Whisper, "set_alignment_heads", _remember_heads)
        yield site / sha256 / "tiny.pt"
        server.shutdown()


def _remember_heads(model, dump):
    model.heads = dump


@pytest.fixture
def reachable(monkeypatch):
    monkeypatch.setattr(weights, "hub_reachable", lambda url, work_dir: True)


@pytest.fixture
def unreachable(monkeypatch):
    monkeypatch.setattr(weights, "hub_reachable", lambda url, work_dir: False)


def load(policy, tmp_path):
    return MODEL.load("tiny", LoadContext(device="cpu", policy=policy, work_dir=tmp_path / "work"))


@pytest.mark.parametrize("policy", ["pretrained", "auto"])
@pytest.mark.parametrize("folder", ["work/whisper", "cache/whisper"])
def test_a_file_that_is_there_is_taken(policy, folder, published, unreachable, tmp_path):
    (tmp_path / folder).mkdir(parents=True)
    shutil.copy(published, tmp_path / folder / "tiny.pt")
    loaded = load(policy, tmp_path)
    assert loaded.weights == "pretrained"
    assert loaded.engine.heads == HEADS


@pytest.mark.parametrize("policy", ["pretrained", "auto"])
def test_a_missing_file_is_fetched_once(policy, published, reachable, tmp_path):
    assert load(policy, tmp_path).weights == "pretrained"
    assert [path.name for path in (tmp_path / "work" / "whisper").iterdir()] == ["tiny.pt"]
    published.unlink()
    assert load(policy, tmp_path).weights == "pretrained"


def test_a_damaged_file_is_not_trusted(published, unreachable, tmp_path):
    damaged = tmp_path / "work" / "whisper" / "tiny.pt"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(published.read_bytes()[:-1])
    with pytest.raises(WeightsMissing, match=r"tiny\.pt \(damaged\)"):
        load("pretrained", tmp_path)


def test_a_damaged_download_leaves_nothing_behind(published, reachable, tmp_path):
    published.write_bytes(b"an error page")
    with pytest.raises(WeightsMissing, match="SHA-256"):
        load("pretrained", tmp_path)
    assert list((tmp_path / "work" / "whisper").iterdir()) == []


def test_the_server_is_asked_for_once_for_all_variants(published, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(weights, "hub_reachable", lambda url, work_dir: asked.append(url))
    load("auto", tmp_path)
    address = whisper._MODELS["tiny"].split("/")[2]
    assert asked == [f"http://{address}/"]


def test_pretrained_says_what_to_do(published, unreachable, tmp_path):
    with pytest.raises(WeightsMissing) as refusal:
        load("pretrained", tmp_path)
    message = refusal.value.message
    assert whisper._MODELS["tiny"] in message
    assert str(tmp_path / "work" / "whisper" / "tiny.pt") in message
    assert str(tmp_path / "cache" / "whisper" / "tiny.pt") in message
    assert refusal.value.details["variant"] == "tiny"


def test_a_download_that_fails_is_told(published, reachable, tmp_path):
    published.unlink()
    with pytest.raises(WeightsMissing, match="404"):
        load("pretrained", tmp_path)


def test_auto_falls_back_with_a_warning(published, unreachable, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert load("auto", tmp_path).weights == "random"
    assert "RANDOM" in caplog.text


def test_tiny_never_looks(published, monkeypatch, tmp_path):
    monkeypatch.setattr(weights, "hub_reachable", pytest.fail)
    loaded = load("tiny", tmp_path)
    assert loaded.weights == "random"
    heads = loaded.engine.alignment_heads.indices().T
    assert heads.tolist() == [[1, 0], [1, 1]]  # layer and head: the upper of two layers
