"""Excludes the folders here, which test_environments.py runs in the environments of the same names."""

from deployments.environments import LOCKS

collect_ignore = [lock.stem for lock in LOCKS.glob("*.txt")]
