"""``python -m deployments.serve``: it starts, keeps to loopback, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from deployments.ports import free_port

ROOT = Path(__file__).parents[2]
PATIENCE = 150
CONFIG = """
http_options: {{port: {port}}}
applications:
  - import_path: tests.serve.toy:build
    args: {{models: {{}}, defaults: {{{defaults}}}}}
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    launched: list[subprocess.Popen[str]] = []

    def launch(defaults: str = "") -> "subprocess.Popen[str]":
        config = tmp_path / "config.yaml"
        config.write_text(CONFIG.format(port=port, defaults=defaults))
        launched.append(
            subprocess.Popen(
                [sys.executable, "-m", "deployments.serve", str(config)],
                cwd=ROOT,
                env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients'}"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        )
        return launched[-1]

    yield launch
    for process in launched:
        process.terminate()
        process.communicate(timeout=60)


def wait_until_served(launcher: "subprocess.Popen[str]", port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not answers(port):
        assert launcher.poll() is None, launcher.communicate()[0]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health").is_success
    except httpx.TransportError:
        return False


def family(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def addresses(processes: Iterable[psutil.Process]) -> set[str]:
    """Where they listen."""
    connections = (connection for process in processes for connection in process.net_connections("tcp"))
    return {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}


@pytest.mark.cluster
def test_it_serves_on_loopback_alone_and_a_signal_ends_every_process(start: Start, port: int) -> None:
    launcher = start()
    wait_until_served(launcher, port)
    processes = family(launcher)
    assert addresses(process for process in processes if "haproxy" in process.name()) == {"127.0.0.1"}

    launcher.send_signal(signal.SIGINT)
    said, _ = launcher.communicate(timeout=60)
    assert launcher.returncode == 0
    assert said.splitlines()[-1] == "audiograph: stopping; jobs under way go on at the next start"
    assert psutil.wait_procs(processes, timeout=10)[1] == []


@pytest.mark.cluster
def test_when_ray_is_killed_the_launcher_says_so_and_ends_the_rest(start: Start, port: int) -> None:
    launcher = start()
    wait_until_served(launcher, port)
    processes = family(launcher)
    for process in psutil.Process(launcher.pid).children():
        process.kill()
    said, _ = launcher.communicate(timeout=60)
    assert launcher.returncode == 1
    assert "Ray was killed" in said
    assert psutil.wait_procs(processes, timeout=10)[1] == []


def test_a_configuration_that_the_application_refuses_is_told_in_one_line(start: Start) -> None:
    said, _ = start(defaults="speak: nobody").communicate(timeout=PATIENCE)
    assert said == "audiograph: applications[0].args: models: nothing here serves a task\n"
