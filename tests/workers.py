"""Which tests share a worker, where they run in parallel."""

from xdist.scheduler import LoadScopeScheduling


class ByServer(LoadScopeScheduling):
    """One worker starts the shared servers, one those that are killed; any takes any of the other tests.

    Every server is made for two cores of its own. xdist's own groups (``--dist loadgroup``) do not hold under
    pytest 9.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/serve/test_durability.py"):
            return "servers that are killed"
        if nodeid.startswith("tests/serve/"):
            return "shared servers"
        return nodeid
