"""The real server, as `make serve` starts it, on a free port and with a state folder of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from audiograph import Audiograph
from audiograph.errors import AudiographError

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 180.0
STOP_SECONDS = 30.0


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """A server whose every file is in ``folder``; gives its URL, and ends it by its process id.

    Raises:
        RuntimeError: it ended, or was not ready in time; with the end of what it said.
    """
    config, log, url = folder / "serve_config.yaml", folder / "server.log", f"http://127.0.0.1:{_free_port()}"
    config.write_text(yaml.safe_dump(_settings(folder, url)))
    command = [sys.executable, "-m", "deployments.serve", str(config)]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches the demo alone, which then ends the server in order.
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        _wait_until_ready(process, url, log)
        yield url
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _settings(folder: Path, url: str) -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    settings["http_options"]["port"] = int(url.rpartition(":")[2])
    args = settings["applications"][0]["args"]
    args["storage"] |= {
        "database_url": f"sqlite:///{folder / 'state' / 'audiograph.db'}",
        "artifacts_url": str(folder / "state" / "artifacts"),
    }
    return settings


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with Audiograph(url, timeout=5, retries=0) as client:
        while not _ready(client):
            if process.poll() is not None or time.monotonic() > deadline:
                last = os.linesep.join(log.read_text(errors="replace").splitlines()[-20:])
                raise RuntimeError(f"the server did not start; it said:{os.linesep}{last}")
            time.sleep(0.3)


def _ready(client: Audiograph) -> bool:
    try:
        return client.ready().ready
    except AudiographError:
        return False
