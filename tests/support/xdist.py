"""Which tests share a worker, where they run in parallel."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARED, OWN = "the shared server", "servers of their own"
_OWN = ("tests/serve/test_durability.py", "tests/serve/guarded/")
_LONG = (
    "tests/deployments/jobs/test_recovery.py",  # waits, while the next computes
    "tests/environments/",
    "tests/deployments/jobs/test_queue.py",  # waits
    "tests/deployments/models/pitch_analysis/test_model.py",
    "tests/deployments/models/demucs/test_separator.py",
)
"""The longest files, in an order in which two at a time use both processors."""


def scope(nodeid: str) -> str:
    """What runs on one worker: the tests of a kind of server, or of a file, which share what they import."""
    if nodeid.startswith(_OWN):
        return OWN
    if nodeid.startswith("tests/serve/"):
        return SHARED
    return nodeid.split("::", maxsplit=1)[0]


def longest_first(items: list[pytest.Item]) -> None:
    """Servers take longest; the files, which are short, then fill both workers to the end."""
    items.sort(key=lambda item: _place(item.nodeid))


def _place(nodeid: str) -> int:
    long = [number for number, prefix in enumerate(_LONG) if nodeid.startswith(prefix)]
    return {SHARED: -2, OWN: -1}.get(scope(nodeid), long[0] if long else len(_LONG))


class ByServer(LoadScopeScheduling):
    """One worker keeps to the shared server, one starts and kills others; any takes any of the other files.

    Every server is made for two cores of its own. xdist's own groups (``--dist loadgroup``) do not hold under
    pytest 9.
    """

    def __init__(self, config: pytest.Config, log: Any) -> None:
        config.option.loadscopereorder = False  # by number of tests, which says little of how long they take
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)
