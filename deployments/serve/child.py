"""Starts a server as a child process, on a free port and with a state folder of its own.

The demo and the benchmarks start the real server this way, and end it by its process id.
"""

import contextlib
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from deployments.serve.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180.0
STOP_SECONDS = 60.0


@contextlib.contextmanager
def audiograph(folder: Path, **args: Any) -> Iterator[str]:
    """Run the server of `make serve`, with all of its files in ``folder``, and yield its URL.

    ``args`` change the application's arguments in serve_config.yaml, key by key.

    Raises:
        RuntimeError: the server ended, or was not ready in time; with the end of its output.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, port = folder / "serve_config.yaml", free_port()
    # Keep the order of serve_config.yaml: the first model that serves a task is its default.
    config.write_text(yaml.safe_dump(_settings(folder, port, args), sort_keys=False))
    with process(["-m", "deployments.serve", str(config)], port, folder / "server.log") as url:
        yield url


def _settings(folder: Path, port: int, args: dict[str, Any]) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    settings["http_options"]["port"] = port
    application = settings["applications"][0]
    application["args"]["storage"] |= {
        "database_url": f"sqlite:///{folder / 'state' / 'audiograph.db'}",
        "artifacts_url": str(folder / "state" / "artifacts"),
    }
    application["args"] = _merged(application["args"], args)
    return settings


def _merged(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return settings with changes; sections of both are merged."""
    sections = {
        key: _merged(settings[key], value)
        for key, value in changes.items()
        if isinstance(value, dict) and isinstance(settings.get(key), dict)
    }
    return settings | changes | sections


@contextlib.contextmanager
def process(arguments: list[str], port: int, log: Path) -> Iterator[str]:
    """Run ``python ARGUMENTS``, wait for its /ready and yield its URL; end it by its process id.

    Raises:
        RuntimeError: the process ended, or was not ready in time; with the end of its output.
    """
    paths = [str(ROOT), str(ROOT / "clients"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches only the caller, which then ends the server in order.
        child = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(child, url, log)
        yield url
    finally:
        child.terminate()
        child.wait(STOP_SECONDS)


def _wait_until_ready(child: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(f"{url}/ready"):
        if child.poll() is not None or time.monotonic() > deadline:
            last = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
            raise RuntimeError(f"the server did not start; the end of its output:\n{last}")
        time.sleep(0.2)


def _answers(page: str) -> bool:
    try:
        with urllib.request.urlopen(page, timeout=5):
            return True
    except OSError:
        return False
