"""Servers in processes of their own, on free ports of the loopback address, ended by their process ids."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import yaml

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180.0
STOP_SECONDS = 60.0


@contextlib.contextmanager
def audiograph(folder: Path) -> Iterator[str]:
    """Audiograph as `make serve` starts it, on tiny weights, with its state in ``folder``; gives its URL."""
    folder.mkdir()
    config, port = folder / "serve_config.yaml", _free_port()
    config.write_text(yaml.safe_dump(_settings(folder, port)))
    with _running(["-m", "deployments.serve", str(config)], port, "/ready", folder / "server.log") as url:
        yield url


@contextlib.contextmanager
def bare(folder: Path) -> Iterator[str]:
    """The server of `bare_server`; gives its URL."""
    folder.mkdir()
    port = _free_port()
    command = ["-m", "uvicorn", "benchmarks.bare_server:app", "--port", str(port), "--log-level", "warning"]
    with _running(command, port, "/ready", folder / "server.log") as url:
        yield url


def _settings(folder: Path, port: int) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    settings["http_options"]["port"] = port
    args = settings["applications"][0]["args"]
    args |= {"weights": "tiny", "work_dir": str(folder)}
    args["storage"] |= {
        "database_url": f"sqlite:///{folder / 'audiograph.db'}",
        "artifacts_url": str(folder / "artifacts"),
    }
    return settings


@contextlib.contextmanager
def _running(arguments: list[str], port: int, page: str, log: Path) -> Iterator[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'clients'}"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(process, url + page, log)
        yield url
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _wait_until_ready(process: "subprocess.Popen[bytes]", page: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _answers(page):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(
                f"the server did not start; it said:\n{log.read_text(errors='replace')[-2000:]}"
            )
        time.sleep(0.2)


def _answers(page: str) -> bool:
    try:
        return httpx.get(page, timeout=5).is_success
    except httpx.TransportError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
