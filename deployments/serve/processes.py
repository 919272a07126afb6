"""Watches the processes that Ray starts on this machine, and ends them with the server."""

import ctypes
import sys
from contextlib import suppress

import psutil

PR_SET_CHILD_SUBREAPER = 36
SYSTEM_PROCESSES = {"raylet", "gcs_server"}


def adopt_orphans() -> None:
    """Become the parent of the processes that a killed Ray leaves behind, for `end_all` (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ray_is_alive() -> bool:
    """Return whether both of Ray's system processes are alive."""
    return {name for child in psutil.Process().children() if (name := _living(child))} >= SYSTEM_PROCESSES


def end_all() -> None:
    """Kill every descendant of this process, and wait for their end."""
    descendants = psutil.Process().children(recursive=True)
    for process in descendants:
        with suppress(psutil.NoSuchProcess):  # it has just ended
            process.kill()
    psutil.wait_procs(descendants, timeout=5)


def _living(process: psutil.Process) -> str | None:
    """Return the name of a live process, or None if it has ended."""
    with suppress(psutil.NoSuchProcess):
        return process.name() if process.status() != psutil.STATUS_ZOMBIE else None
    return None
