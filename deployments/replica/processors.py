"""How many of the machine's processors a replica computes with."""

import os

from threadpoolctl import threadpool_limits

from deployments.config import ModelConfig

THREADS = "OMP_NUM_THREADS"
SPIN, SPINS = "GOMP_SPINCOUNT", 1000
"""Read by PyTorch, and by NumPy's linear algebra, when they are imported.

A thread that has done its share of an operation looks so often whether the others have, before it sleeps.
GNU's OpenMP takes this number by itself where a process has more threads than there are processors, and else
300 times as many; it does not know of other processes. Replicas that share processors would wait for each
other's waiting: many small operations then took ten times as long as on one thread. A lone replica loses
nothing by it.
"""


def use_processors(config: ModelConfig) -> int:
    """Let this process compute with as many threads as its model is given, and say how many.

    To be called before PyTorch is imported. Ray gives each worker as many as it has whole CPUs, so one thread
    to a fraction. But such a fraction only says how many replicas share the machine, most of them idle, and a
    lone request should not leave all other processors idle: a fraction may use them all.
    """
    count = _whole_cpus(config) or all_processors()
    os.environ[THREADS] = str(count)
    os.environ.setdefault(SPIN, str(SPINS))
    return count


def all_processors() -> int:
    """How many this process may use, where the system tells (it is Linux that does); else all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def limit_thread(processors: int) -> threadpool_limits:
    """Let this thread's operations use so many; `torch.set_num_threads` would tell all threads to come."""
    import torch

    torch.get_num_threads()  # PyTorch sets the thread's number when it is first used, and then no more
    return threadpool_limits(processors, "openmp")


def _whole_cpus(config: ModelConfig) -> int:
    options = config.deployment.get("ray_actor_options") or {}
    return int(options.get("num_cpus", 0))
