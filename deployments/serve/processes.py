"""The processes that Ray starts on this machine: whether they live, and that none outlives the server."""

import ctypes
import sys
from contextlib import suppress

import psutil

PR_SET_CHILD_SUBREAPER = 36
SYSTEM_PROCESSES = {"raylet", "gcs_server"}


def adopt_orphans() -> None:
    """Become the parent of what a killed Ray leaves behind, so that `end_all` finds it (Linux alone)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ray_is_whole() -> bool:
    """Whether both of the processes without which Ray can do nothing are alive."""
    return {name for child in psutil.Process().children() if (name := _living(child))} >= SYSTEM_PROCESSES


def end_all() -> None:
    """Kill every process that descends from this one, and wait until they are gone."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with suppress(psutil.NoSuchProcess):  # it ended just now
            process.kill()
    psutil.wait_procs(left, timeout=5)


def _living(process: psutil.Process) -> str | None:
    """The name of a process that has not ended."""
    with suppress(psutil.NoSuchProcess):
        return process.name() if process.status() != psutil.STATUS_ZOMBIE else None
    return None
