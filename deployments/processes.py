"""The processes that Ray starts on this machine: whether they live, and that none outlives the server."""

import ctypes
import sys

import psutil

PR_SET_CHILD_SUBREAPER = 36
SYSTEM_PROCESSES = {"raylet", "gcs_server"}


def adopt_orphans() -> None:
    """Become the parent of what a killed Ray leaves behind, so that `end_all` finds it (Linux alone)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ray_is_whole() -> bool:
    """Whether both of the processes without which Ray can do nothing are alive."""
    children = psutil.Process().children()
    alive = {child.name() for child in children if child.status() != psutil.STATUS_ZOMBIE}
    return alive >= SYSTEM_PROCESSES


def end_all() -> None:
    """Kill every process that descends from this one, and wait until they are gone."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=5)
