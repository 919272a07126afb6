"""The real application: a server process on a free port, driven through the real client."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from audiograph import Audiograph
from audiograph.errors import AudiographError
from deployments.serve.ports import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 240
LAST_WORDS = "audiograph: stopping; unfinished jobs continue at the next start"


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with the leaves of ``changes``."""
    out = dict(base)
    for key, value in changes.items():
        out[key] = (
            merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
        )
    return out


class Server:
    """One server with its Ray, in a folder of its own; killed and started again, it has the same state."""

    def __init__(self, folder: Path, args: dict[str, Any], python_path: tuple[Path, ...] = ()) -> None:
        self._folder = folder
        self._python_path = os.pathsep.join(map(str, (ROOT, ROOT / "clients", *python_path)))
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._config = folder / "serve_config.yaml"
        self._config.write_text(yaml.safe_dump(self._config_with(args), sort_keys=False))
        self._process: subprocess.Popen[bytes] | None = None

    def _config_with(self, args: dict[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
        state = {
            "storage": {
                "database_url": f"sqlite:///{self._folder / 'audiograph.db'}",
                "artifacts_url": str(self._folder / "artifacts"),
            },
            "voices": {"folder": str(self.voices)},
            "exports": {"folder": str(self.exports)},
            "weights": "tiny",
            "work_dir": str(self._folder / "work"),
        }
        config["http_options"]["port"] = self.port
        application = config["applications"][0]
        application["args"] = merged(merged(application["args"], state), args)
        return config

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """The server's own serve_config.yaml."""
        return self._config

    @property
    def artifacts(self) -> Path:
        """Where it keeps files and artifacts, unfinished ones too."""
        return self._folder / "artifacts"

    @property
    def voices(self) -> Path:
        """Its folder of recorded voices."""
        return self._folder / "voices"

    @property
    def exports(self) -> Path:
        """Where callers may have it write files."""
        return self._folder / "exports"

    @property
    def log(self) -> str:
        return (self._folder / "server.log").read_text(errors="replace")

    @property
    def _said(self) -> str:
        """What it has printed since its last start."""
        return self.log[self._silence :]

    def start(self) -> "Server":
        command = [sys.executable, "-m", "deployments.serve", str(self._config)]
        environment = {**os.environ, "PYTHONPATH": self._python_path}
        with (self._folder / "server.log").open("ab") as log:
            self._silence = len(self.log)
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self._wait_until_ready()
        return self

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with Audiograph(self.url) as client:
            while time.monotonic() < deadline:
                assert self._process is not None
                assert self._process.poll() is None, f"the server ended:\n{self.log[-4000:]}"
                if _ready(client):
                    return
                time.sleep(0.2)
        raise AssertionError(f"not ready after {START_SECONDS} s:\n{self.log[-4000:]}")

    def processes(self, title: str = "") -> list[psutil.Process]:
        """The server's own and its Ray's processes, those with a title alone if one is given."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        return [p for p in [main, *main.children(recursive=True)] if title in " ".join(_command_line(p))]

    def kill(self, title: str) -> None:
        """kill -9 every process with such a title; at least one must be there."""
        victims = self.processes(title)
        assert victims, f"no process is called {title!r}"
        for victim in victims:
            victim.kill()

    def kill_everything(self) -> None:
        """kill -9 the server and all of its Ray."""
        victims = self.processes()
        for victim in victims:
            _kill(victim)
        psutil.wait_procs(victims, timeout=30)

    def kill_ray(self) -> None:
        """kill -9 what Ray stands on; the server says so, and ends with all that is left."""
        assert self._process is not None
        everything = self.processes()
        for child in psutil.Process(self._process.pid).children():
            child.kill()
        assert self._ended(everything) == 1, self._said[-4000:]
        assert "audiograph: Ray was killed" in self._said, self._said[-4000:]

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """End it as an init system does, or with SIGINT as Ctrl-C does."""
        if self._process is None or self._process.poll() is not None:
            return
        everything = self.processes()
        self._process.send_signal(with_signal)
        assert self._ended(everything) == 0, self._said[-4000:]
        assert self._said.splitlines()[-1] == LAST_WORDS

    def _ended(self, everything: list[psutil.Process]) -> int:
        """The server's exit status; a process that is left of it is a fault."""
        assert self._process is not None
        status = self._process.wait(timeout=60)
        _, left = psutil.wait_procs(everything, timeout=10)
        for process in left:
            _kill(process)
        assert not left, f"still running after the server ended: {[p.pid for p in left]}"
        return status


def _ready(client: Audiograph) -> bool:
    try:
        return client.ready().ready
    except AudiographError:
        return False


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return


def _command_line(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Servers of a test's own, which it may kill."""
    servers: list[Server] = []

    def make(**args: Any) -> Server:
        servers.append(Server(tmp_path / f"server{len(servers)}", args))
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it standing."""
    server = Server(tmp_path_factory.mktemp("server"), {}).start()
    yield server
    server.stop()


@pytest.fixture
def client(server: Server) -> Iterator[Audiograph]:
    with Audiograph(server.url) as client:
        yield client
