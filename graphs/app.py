"""Builds one Ray Serve application from a typed configuration.

No ``from __future__ import annotations`` here: Ray Serve reads `build`'s annotation to check ``args``.
"""

import shlex
from pathlib import Path
from typing import Any

from ray import serve
from ray.serve import Application

from deployments import environments
from deployments.config import AppConfig, ModelConfig
from deployments.ingress.app import Ingress
from deployments.ingress.http import backpressure
from deployments.jobs.runner import ServeRunner
from deployments.models.registry import Registry
from deployments.replica.replica import ModelReplica
from graphs.registry import GRAPHS

ROOT = Path(__file__).parents[1]

INGRESS_OPTIONS = {
    "num_replicas": 1,
    "max_ongoing_requests": 2000,  # every open event stream counts as one
    "ray_actor_options": {"num_cpus": 0.1, "runtime_env": {"env_vars": backpressure.ENVIRONMENT}},
}
RUNNER_OPTIONS = {"ray_actor_options": {"num_cpus": 0.1}, "health_check_timeout_s": 120}
MODEL_OPTIONS = {
    # Requests queue in the replica, where they can be batched, report progress and be canceled.
    "max_ongoing_requests": 64,
    "ray_actor_options": {"num_cpus": 0.5},
    "autoscaling_config": {
        "min_replicas": 0,
        "max_replicas": 1,
        "target_ongoing_requests": 16,
        "downscale_to_zero_delay_s": 600,
        # Interval at which Ray checks for requests that wait for a first replica; its default is 10.
        "metrics_interval_s": 2,
    },
    "health_check_timeout_s": 120,
}


def build(config: AppConfig) -> Application:
    """Bind every deployment of a configuration, after checking all of it.

    Raises:
        ValueError: a model's class, options or variant does not exist; the message has its path.
    """
    config = config.resolved(ROOT)
    Registry.from_config(config)
    models = {name: _model(name, config) for name in config.models}
    runner = _deployment(
        ServeRunner, "runner", {**RUNNER_OPTIONS, "num_replicas": config.jobs.runners}, config.runner
    ).bind(config, models, GRAPHS)
    return _deployment(Ingress, "ingress", INGRESS_OPTIONS, config.ingress).bind(config, models, runner)


def _model(name: str, config: AppConfig) -> Application:
    # A replica that is shut down may finish the longest job that it can have started.
    options = {**MODEL_OPTIONS, "graceful_shutdown_timeout_s": config.jobs.time_limit_seconds}
    given = _in_environment(config.models[name])
    return _deployment(ModelReplica, name, options, given).bind(name, config)


def _in_environment(model: ModelConfig) -> dict[str, Any]:
    """Return a model's deployment options, with the Python of its environment.

    Without that environment the model has no replicas, and the registry refuses requests to it.
    """
    if model.environment is None:
        return model.deployment
    if environments.missing(model.environment):
        idle = {"autoscaling_config": {"min_replicas": 0}}
        return {name: value for name, value in model.deployment.items() if name != "num_replicas"} | idle
    python = shlex.quote(str(environments.python_of(model.environment)))  # Ray passes it to a shell
    actor = model.deployment.get("ray_actor_options") or {}
    runtime_env = {**model.runtime_env, "py_executable": python}
    return {**model.deployment, "ray_actor_options": {**actor, "runtime_env": runtime_env}}


def _deployment(cls: type, name: str, defaults: dict[str, Any], given: dict[str, Any]) -> serve.Deployment:
    options = {**defaults, **given}
    for nested in ("ray_actor_options", "autoscaling_config"):
        if nested in options:
            options[nested] = {**defaults.get(nested, {}), **given.get(nested, {})}
    if "num_replicas" in given:  # Serve takes either a number of replicas or a range
        options.pop("autoscaling_config", None)
    return serve.deployment(cls).options(name=name, **options)
