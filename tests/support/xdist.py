"""Distribution of the tests over workers that run in parallel."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARED = "the shared server"
"""Scope of the tests that use one server, which no test stops."""
OWN = "servers of their own"
"""Scope of the tests that start and kill servers."""
_OWN = ("tests/serve/test_durability.py", "tests/serve/guarded/")
_LONG = (
    "tests/deployments/jobs/test_recovery.py",  # waits while the next one computes
    "tests/environments/",
    "tests/deployments/jobs/test_queue.py",  # waits
    "tests/deployments/models/pitch_analysis/test_model.py",
    "tests/deployments/models/demucs/test_separator.py",
)
"""The slowest files, in an order in which two workers keep both processors busy."""


def scope(nodeid: str) -> str:
    """Return the scope of a test: its kind of server, or its file. Tests of one scope run on one worker."""
    if nodeid.startswith(_OWN):
        return OWN
    if nodeid.startswith("tests/serve/"):
        return SHARED
    return nodeid.split("::", maxsplit=1)[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by decreasing duration of their scope, so that short files fill both workers at the end."""
    items.sort(key=lambda item: _rank(item.nodeid))


def _rank(nodeid: str) -> int:
    long = [number for number, prefix in enumerate(_LONG) if nodeid.startswith(prefix)]
    return {SHARED: -2, OWN: -1}.get(scope(nodeid), long[0] if long else len(_LONG))


class ByServer(LoadScopeScheduling):
    """Runs all tests of the shared server on one worker, and those that kill servers on another.

    Every server is configured for two cores. Both workers take the other files as well, in any order. xdist's
    own groups (``--dist loadgroup``) do not work with pytest 9.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # it sorts by number of tests, not by duration
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)
