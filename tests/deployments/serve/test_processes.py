"""Processes may end at any moment, also while they are counted or killed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from deployments.serve import processes

Start = Callable[[], psutil.Process]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that would live for a minute."""
    started: list[subprocess.Popen[bytes]] = []

    def sleeper() -> psutil.Process:
        started.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]))
        return psutil.Process(started[-1].pid)

    yield sleeper
    for process in started:
        process.kill()
        process.wait()


def gone(process: psutil.Process) -> psutil.Process:
    """A process that has ended since it was listed."""
    process.kill()
    process.wait()
    return process


def test_what_ends_by_itself_keeps_nothing_else_alive(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, alive = gone(start()), start()
    monkeypatch.setattr(psutil.Process, "children", lambda self, recursive: [ended, alive])
    processes.end_all()
    assert not alive.is_running()


def test_ray_is_alive_while_both_of_its_processes_live(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    alive, dead = start(), start()
    monkeypatch.setattr(processes, "SYSTEM_PROCESSES", {alive.name()})
    monkeypatch.setattr(psutil.Process, "children", lambda self: [dead, alive])
    assert processes.ray_is_alive()
    gone(dead)
    assert processes.ray_is_alive()
    alive.kill()
    while alive.status() != psutil.STATUS_ZOMBIE:  # until somebody waits for it
        time.sleep(0.01)
    assert not processes.ray_is_alive()
    gone(alive)
    assert not processes.ray_is_alive()
