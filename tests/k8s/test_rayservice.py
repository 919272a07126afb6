"""Consistency of k8s/ with the typed configuration, with the locks and in itself."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from audiograph import __version__
from deployments.serve.file import ServeFile, parse

ROOT = Path(__file__).parents[2]
SPEC = yaml.safe_load((ROOT / "k8s" / "rayservice.yaml").read_text())["spec"]
CLUSTER = SPEC["rayClusterConfig"]
GROUPS = [CLUSTER["headGroupSpec"], *CLUSTER["workerGroupSpecs"]]
DOCKERFILE = (ROOT / "k8s" / "Dockerfile").read_text()


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> ServeFile:
    monkeypatch.setenv("AUDIOGRAPH_DATABASE_URL", "postgresql://user:password@db/audiograph")
    return parse(SPEC["serveConfigV2"], "serveConfigV2")


def containers() -> list[dict[str, Any]]:
    return [container for group in GROUPS for container in group["template"]["spec"]["containers"]]


def locked(package: str) -> str:
    pins = "".join(path.read_text() for path in sorted((ROOT / "requirements").glob("*.txt")))
    match = re.search(rf"^{package}==(.+)$", pins, re.MULTILINE)
    assert match
    return match[1]


def test_the_application_is_for_production_and_its_secrets_are_not_in_the_file(file: ServeFile) -> None:
    args = file.application.args
    assert args.weights == "pretrained"
    assert args.auth.required
    assert args.storage.database_url == "postgresql://user:password@db/audiograph"
    assert args.storage.artifacts_url.startswith("s3://")
    assert args.jobs.runners > 1
    assert file.http_options.host == "0.0.0.0"
    file.check_exposure()


def test_the_variables_that_the_configuration_names_come_from_the_secret_on_every_node() -> None:
    for name in re.findall(r"\$\{(\w+)\}", SPEC["serveConfigV2"]):
        for container in containers():
            (variable,) = [entry for entry in container["env"] if entry["name"] == name]
            assert "secretKeyRef" in variable["valueFrom"]


def test_the_versions_of_ray_and_the_image_are_the_locked_ones() -> None:
    assert CLUSTER["rayVersion"] == locked("ray")
    assert {container["image"] for container in containers()} == {f"audiograph:{__version__}"}
    assert f"-t audiograph:{__version__} " in DOCKERFILE


def test_serve_settings_are_equal_on_every_node() -> None:
    settings = [
        {e["name"]: e.get("value") for e in container["env"] if e["name"].startswith("RAY_SERVE_")}
        for container in containers()
    ]
    assert all(setting == settings[0] for setting in settings)
    assert settings[0]["RAY_SERVE_ENABLE_HA_PROXY"] == "1"


def test_shutdowns_wait_for_the_longest_job(file: ServeFile) -> None:
    args = file.application.args
    drains = [model.deployment["graceful_shutdown_timeout_s"] for model in args.models.values()]
    pods = [
        group["template"]["spec"]["terminationGracePeriodSeconds"] for group in CLUSTER["workerGroupSpecs"]
    ]
    assert args.jobs.time_limit_seconds <= min(drains)
    assert max(drains) <= min(pods)
    assert max(pods) <= SPEC["rayClusterDeletionDelaySeconds"]


def test_every_deployment_fits_a_worker(file: ServeFile) -> None:
    limits = [
        group["template"]["spec"]["containers"][0]["resources"]["limits"]
        for group in CLUSTER["workerGroupSpecs"]
    ]
    for name, model in file.application.args.models.items():
        needs = model.deployment["ray_actor_options"]
        assert any(
            needs["num_cpus"] <= int(limit["cpu"])
            and needs.get("num_gpus", 0) <= int(limit.get("nvidia.com/gpu", 0))
            for limit in limits
        ), name


def test_the_proxies_port_is_open_on_every_node(file: ServeFile) -> None:
    for container in containers():
        assert file.http_options.port in [port["containerPort"] for port in container["ports"]]


def test_the_image_installs_torch_first_and_imports_the_checkout() -> None:
    torch, serve = (DOCKERFILE.index(f"-r requirements/{name}.txt") for name in ("torch", "serve"))
    assert torch < serve
    assert "requirements/dev.txt" not in DOCKERFILE
    copied = {folder for folder in ("clients", "deployments", "graphs") if f"COPY {folder}/" in DOCKERFILE}
    assert copied == {"clients", "deployments", "graphs"}
    assert "ENV PYTHONPATH=/opt/audiograph:/opt/audiograph/clients" in DOCKERFILE


def test_copied_folders_are_not_ignored() -> None:
    rules = (ROOT / "k8s" / "Dockerfile.dockerignore").read_text().splitlines()
    kept = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copies = re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE)
    copied = {source.rstrip("/") for copy in copies for source in copy.split()}
    assert kept <= copied
    assert all(any(f"{source}/".startswith(f"{rule}/") for rule in kept) for source in copied)


def test_the_image_has_the_environments_that_models_name(file: ServeFile) -> None:
    named = {model.environment for model in file.application.args.models.values()} - {None}
    assert named <= {lock.stem for lock in (ROOT / "requirements" / "environments").glob("*.txt")}
    after = DOCKERFILE.index("-r requirements/serve.txt")  # the layer below
    assert DOCKERFILE.index("python scripts/environments.py") > after
