"""Which tests share a worker, where they run in parallel."""

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARED, OWN = "the shared server", "servers of their own"
_OWN = ("tests/serve/test_durability.py", "tests/serve/guarded/")


def scope(nodeid: str) -> str:
    """What runs on one worker: the tests of a kind of server, or of a file, which share what they import."""
    if nodeid.startswith(_OWN):
        return OWN
    if nodeid.startswith("tests/serve/"):
        return SHARED
    return nodeid.split("::", maxsplit=1)[0]


def servers_first(items: list[pytest.Item]) -> None:
    """They take longest; the files, which are short, then fill both workers to the end."""
    order = {SHARED: 0, OWN: 1}
    items.sort(key=lambda item: order.get(scope(item.nodeid), 2))


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
