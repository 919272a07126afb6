"""Sets how many of the machine's processors a replica computes with."""

import os

from deployments.config import ModelConfig
from deployments.models.kit.resources import all_processors

THREADS_VARIABLE = "OMP_NUM_THREADS"
"""PyTorch and NumPy's linear algebra read it when they are imported."""
SPIN_VARIABLE = "GOMP_SPINCOUNT"
"""How often an OpenMP thread that has finished its share polls for the others before it sleeps."""
SPIN_COUNT = 1000
"""GNU's OpenMP uses this number itself where a process has more threads than there are processors, and 300
times as many otherwise; it does not know of other processes. Replicas that share processors would wait for
each other's polls: many small operations then took ten times as long as on one thread. A lone replica loses
nothing.
"""


def use_processors(config: ModelConfig) -> int:
    """Set the number of threads that this process computes with, and return it.

    Call it before PyTorch is imported. Ray sets as many threads as a worker has whole CPUs, so one for a
    fraction. But a fraction only means that several replicas share the machine, most of them idle, and a lone
    request should use all processors: so a fraction may use all of them.
    """
    count = _whole_cpus(config) or all_processors()
    os.environ[THREADS_VARIABLE] = str(count)
    os.environ.setdefault(SPIN_VARIABLE, str(SPIN_COUNT))
    return count


def _whole_cpus(config: ModelConfig) -> int:
    options = config.deployment.get("ray_actor_options") or {}
    return int(options.get("num_cpus", 0))
