"""A replica with a fraction of a CPU computes with all of them; one with whole ones with as many."""

import os
import subprocess
import sys
from typing import Any

import pytest

from deployments.config import ModelConfig
from deployments.replica.processors import SPIN_VARIABLE, THREADS_VARIABLE, use_processors

ALL = len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("deployment", "threads"),
    [
        ({}, ALL),
        ({"ray_actor_options": {"num_cpus": 0.3}}, ALL),
        ({"ray_actor_options": {"num_cpus": 1}}, 1),
        ({"ray_actor_options": {"num_cpus": 5}}, 5),
        ({"ray_actor_options": {"num_gpus": 0.5}}, ALL),
    ],
)
def test_a_fraction_is_no_limit(
    deployment: dict[str, Any], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(THREADS_VARIABLE, "1")  # as Ray sets it, and put back after the test
    monkeypatch.setenv(SPIN_VARIABLE, "7")  # a given value is kept
    entry = ModelConfig.model_validate({"class": "some.module:Model", "deployment": deployment})
    assert use_processors(entry) == threads
    assert os.environ[THREADS_VARIABLE] == str(threads)
    assert os.environ[SPIN_VARIABLE] == "7"


def test_torch_follows() -> None:
    code = """
from deployments.config import ModelConfig
from deployments.replica.processors import use_processors
use_processors(ModelConfig.model_validate({"class": "some.module:Model"}))
import torch
print(torch.get_num_threads())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout.decode() == f"{ALL}\n"
