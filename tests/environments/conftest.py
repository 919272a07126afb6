"""Each folder here is named like an environment and runs in it: test_environments.py sees to that."""

from deployments.environments import LOCKS

collect_ignore = [lock.stem for lock in LOCKS.glob("*.txt")]
