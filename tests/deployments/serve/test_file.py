"""serve_config.yaml is read strictly, and every error names its place."""

import socket
from pathlib import Path

import pytest

from deployments.config import is_loopback
from deployments.serve.__main__ import wait_for_port
from deployments.serve.file import ServeFile, ServeFileError, load_file, parse

ROOT = Path(__file__).parents[3]
MINIMAL = "applications: [{args: {models: {}}}]"


def mistakes(text: str) -> list[str]:
    with pytest.raises(ServeFileError) as caught:
        parse(text, "x.yaml")
    head, *lines = str(caught.value).splitlines()
    assert head == "x.yaml:"
    return [line.strip() for line in lines]


def test_the_embedded_default_is_valid_and_local() -> None:
    file = load_file(ROOT / "serve_config.yaml")
    file.check_exposure()
    assert file.url == "http://127.0.0.1:8000"
    signal, speech = {"pitch_analysis", "whisper", "hpss", "demucs"}, {"kokoro", "espeak", "dia"}
    others = {"higgs", "chatterbox", "musicgen", "mock"}
    assert set(file.application.args.models) == signal | speech | others


def test_every_model_of_the_embedded_default_scales_to_zero_and_fits_two_cores_at_once() -> None:
    models = load_file(ROOT / "serve_config.yaml").application.args.models.values()
    assert all(model.deployment["autoscaling_config"]["min_replicas"] == 0 for model in models)
    ingress_and_runner = 0.2
    shares = [
        model.deployment["autoscaling_config"]["max_replicas"]
        * model.deployment["ray_actor_options"]["num_cpus"]
        for model in models
    ]
    assert sum(shares) + ingress_and_runner <= 2


def test_an_unknown_key_is_told_with_its_path_and_the_nearest_known_one() -> None:
    text = "applications: [{args: {models: {}, jobs: {conccurrency: 3}}}]"
    assert mistakes(text) == [
        "applications[0].args.jobs.conccurrency: unknown key; did you mean concurrency?"
    ]


def test_an_unknown_key_of_a_model_is_compared_with_the_names_as_they_are_written() -> None:
    text = "applications: [{args: {models: {w: {clas: 'a:B'}}}}]"
    assert mistakes(text) == [
        "applications[0].args.models.w.class: missing",
        "applications[0].args.models.w.clas: unknown key; did you mean class?",
    ]


def test_a_key_that_ray_would_ignore_is_refused() -> None:
    assert mistakes(f"proxy_locaton: HeadOnly\n{MINIMAL}") == [
        "proxy_locaton: unknown key; did you mean proxy_location?"
    ]


def test_a_key_like_no_other_is_answered_with_the_known_ones() -> None:
    (line,) = mistakes(f"logging_config: {{zzz: 1}}\n{MINIMAL}")
    assert line == "logging_config.zzz: unknown key; known here: encoding, log_level, enable_access_log"


def test_a_refused_value_is_shown_with_what_would_be_right() -> None:
    text = "applications: [{args: {models: {}, weights: nice, jobs: {runners: 0}}}]"
    assert mistakes(text) == [
        "applications[0].args.weights: 'nice' is refused: should be 'pretrained', 'auto' or 'tiny'",
        "applications[0].args.jobs.runners: 0 is refused: should be greater than or equal to 1",
    ]


@pytest.mark.parametrize("section", ["weights: {}", "models: {{}}, http: {{cors_origins: [{}]}}", "{}: 1"])
def test_a_long_value_or_key_is_shortened(section: str) -> None:
    (line,) = mistakes(f"applications: [{{args: {{models: {{}}, {section.format('x' * 500)}}}}}]")[:1]
    assert "xxx…" in line
    assert len(line) < 400


@pytest.mark.parametrize("text", ["", "- a list", "a: [unclosed"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(ServeFileError, match=r"x\.yaml: (must be a mapping|not YAML)"):
        parse(text, "x.yaml")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServeFileError, match="cannot be read"):
        load_file(tmp_path / "none.yaml")


def test_a_database_url_takes_its_secret_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "applications: [{args: {models: {}, storage: {database_url: 'postgresql://u:${PW}@h/d'}}}]"
    assert mistakes(text) == [
        "applications[0].args.storage.database_url: 'postgresql://u:${PW}@h/d' is refused: "
        "the environment variable PW is not set"
    ]
    monkeypatch.setenv("PW", "s3cret")
    assert parse(text, "x").application.args.storage.database_url == "postgresql://u:s3cret@h/d"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_beyond_loopback_keys_are_required(host: str) -> None:
    open_door = parse(MINIMAL, "x").with_address(host, None)
    with pytest.raises(ServeFileError, match=r"args\.auth\.required is false"):
        open_door.check_exposure()
    locked = ServeFile.model_validate(
        {
            "http_options": {"host": host},
            "applications": [{"args": {"models": {}, "auth": {"required": True}}}],
        }
    )
    locked.check_exposure()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


def test_an_address_given_on_the_command_line_wins() -> None:
    file = parse(f"http_options: {{host: 127.0.0.1, port: 1234}}\n{MINIMAL}", "x")
    assert file.with_address(None, 4321).url == "http://127.0.0.1:4321"
    assert file.with_address("0.0.0.0", None).url == "http://127.0.0.1:1234"


def test_a_port_in_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.serve.__main__.PORT_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ServeFileError, match=f"cannot listen at 127.0.0.1:{port}: .*in use"):
            wait_for_port("127.0.0.1", port)
