"""The real server as a child process, in a folder of its own and on a free port."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import yaml

from audiograph import Audiograph
from audiograph.errors import AudiographError
from deployments.serve.ports import free_port

ROOT = Path(__file__).parents[2]
START_SECONDS = 240
LAST_LINE = "audiograph: stopping; unfinished jobs continue at the next start"


class Server:
    """One server with its Ray; after a kill, `start` continues with the same state.

    Args:
        folder: of its configuration, its log and its state.
        args: arguments of the application that differ from serve_config.yaml.
        python_path: more folders to import models from.
    """

    def __init__(self, folder: Path, args: dict[str, Any], python_path: tuple[Path, ...] = ()) -> None:
        self._folder = folder
        self._python_path = os.pathsep.join(map(str, (ROOT, ROOT / "clients", *python_path)))
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._config = folder / "serve_config.yaml"
        self._config.write_text(yaml.safe_dump(self._config_with(args), sort_keys=False))
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

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
        application["args"] = _merged(_merged(application["args"], state), args)
        return config

    @property
    def url(self) -> str:
        """Base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def config(self) -> Path:
        """The server's own serve_config.yaml."""
        return self._config

    @property
    def artifacts(self) -> Path:
        """Folder of files and artifacts, including unfinished ones."""
        return self._folder / "artifacts"

    @property
    def voices(self) -> Path:
        """Folder of recorded voices."""
        return self._folder / "voices"

    @property
    def exports(self) -> Path:
        """Folder for files that callers of the services dialect let it write."""
        return self._folder / "exports"

    @property
    def log(self) -> str:
        """Output since the first start."""
        return (self._folder / "server.log").read_text(errors="replace")

    @property
    def _output(self) -> str:
        """Output since the last start."""
        return self.log[self._log_start :]

    def start(self) -> "Server":
        """Start it and wait until it is ready."""
        command = [sys.executable, "-m", "deployments.serve", str(self._config)]
        environment = {**os.environ, "PYTHONPATH": self._python_path}
        with (self._folder / "server.log").open("ab") as log:
            self._log_start = len(self.log)
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
        """Return the processes of the server and its Ray whose command lines contain a title."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        return [p for p in [main, *main.children(recursive=True)] if title in " ".join(_command_line(p))]

    def kill(self, title: str) -> None:
        """Send SIGKILL to every process with a title; there must be one."""
        victims = self.processes(title)
        assert victims, f"no process is called {title!r}"
        for victim in victims:
            victim.kill()

    def kill_everything(self) -> None:
        """Send SIGKILL to the server and all of its Ray."""
        victims = self.processes()
        for victim in victims:
            _kill(victim)
        psutil.wait_procs(victims, timeout=30)

    def kill_ray(self) -> None:
        """Send SIGKILL to Ray's main processes; check that the server reports it and ends all others."""
        assert self._process is not None
        everything = self.processes()
        for child in psutil.Process(self._process.pid).children():
            child.kill()
        assert self._wait_for_end(everything) == 1, self._output[-4000:]
        assert "audiograph: Ray was killed" in self._output, self._output[-4000:]

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Stop it as an init system does, or with SIGINT as Ctrl-C does, and check how it ends."""
        if self._process is None or self._process.poll() is not None:
            return
        everything = self.processes()
        self._process.send_signal(with_signal)
        assert self._wait_for_end(everything) == 0, self._output[-4000:]
        assert self._output.splitlines()[-1] == LAST_LINE

    def _wait_for_end(self, everything: list[psutil.Process]) -> int:
        """Return the server's exit status; fail if one of its processes is still running."""
        assert self._process is not None
        status = self._process.wait(timeout=60)
        _, left = psutil.wait_procs(everything, timeout=10)
        for process in left:
            _kill(process)
        assert not left, f"still running after the server ended: {[p.pid for p in left]}"
        return status


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the leaves of ``changes``."""
    out = dict(base)
    for key, value in changes.items():
        out[key] = (
            _merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
        )
    return out


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
