"""The options that a configuration comes to."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ray.serve import Deployment

from deployments.config import AppConfig
from deployments.environments import python_of
from graphs.app import build
from tests.support.environments import Environments

TOY = "tests.deployments.replica.toy_models:Toy"
RANGE = {"min_replicas": 1, "max_replicas": 3}


def deployment(tmp_path: Path, **entry: Any) -> Deployment:
    """The deployment of a model ``toy``."""
    config = AppConfig.model_validate(
        {"models": {"toy": {"class": TOY, **entry}}, "weights": "tiny", "work_dir": tmp_path}
    )
    ingress = build(config)._bound_deployment
    found: Deployment = ingress.init_args[1]["toy"]._bound_deployment
    return found


def runtime_env(of: Deployment) -> dict[str, Any]:
    found: dict[str, Any] = of.ray_actor_options.get("runtime_env") or {}
    return found


def test_a_model_without_an_environment_runs_in_the_servers(tmp_path: Path) -> None:
    assert "py_executable" not in runtime_env(deployment(tmp_path))


def test_a_model_runs_in_the_python_of_its_environment(tmp_path: Path, environments: Environments) -> None:
    environments.make("toys")
    given = {
        "ray_actor_options": {"num_cpus": 0.3, "runtime_env": {"env_vars": {"A": "1"}}},
        "autoscaling_config": RANGE,
    }
    made = deployment(tmp_path, environment="toys", deployment=given)
    assert runtime_env(made) == {"env_vars": {"A": "1"}, "py_executable": str(python_of("toys"))}
    assert made.ray_actor_options["num_cpus"] == 0.3
    scaling = made._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.target_ongoing_requests) == (1, 16)  # other keys have defaults
    assert scaling.metrics_interval_s == 2


def test_a_path_with_blanks_stays_one_word_for_the_shell(
    tmp_path: Path, environments: Environments, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.environments.FOLDER", tmp_path / "my environments")
    (tmp_path / "my environments" / "toys").mkdir(parents=True)
    (tmp_path / "my environments" / "toys" / "lock.txt").write_text("toys==1.0\n")
    made = runtime_env(deployment(tmp_path, environment="toys"))["py_executable"]
    assert made == f"'{tmp_path}/my environments/toys/bin/python'"


@pytest.mark.parametrize("replicas", [{"num_replicas": 2}, {"autoscaling_config": RANGE}])
def test_a_model_whose_environment_is_missing_never_starts(
    tmp_path: Path, environments: Environments, replicas: dict[str, Any]
) -> None:
    made = deployment(tmp_path, environment="toys", deployment=replicas)
    assert "py_executable" not in runtime_env(made)
    assert made._deployment_config.autoscaling_config.min_replicas == 0


@pytest.mark.parametrize("name", ["../elsewhere", "a b", "", "-x", "a/b"])
def test_an_environment_is_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValidationError, match=r"models\.toy\.environment"):
        deployment(tmp_path, environment=name)


def test_two_pythons_for_one_model_are_refused(tmp_path: Path) -> None:
    options = {"ray_actor_options": {"runtime_env": {"py_executable": "/opt/toys/bin/python"}}}
    with pytest.raises(ValidationError, match="both name a Python"):
        deployment(tmp_path, environment="toys", deployment=options)
