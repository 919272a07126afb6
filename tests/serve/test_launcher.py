"""The launcher, ``python -m deployments.serve``: its address and its errors. `Server` checks its end."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deployments.serve.ports import free_port
from tests.support.server import ROOT, START_SECONDS, Server

CONFIG = """
applications:
  - import_path: graphs.app:build
    args:
      models:
        mock: {class: "deployments.models.mock:Mock", default_variant: loudest}
"""


@pytest.mark.cluster
def test_it_serves_on_loopback_alone(server: Server) -> None:
    connections = (
        connection for process in server.processes("haproxy") for connection in process.net_connections("tcp")
    )
    listening = {connection.laddr.ip for connection in connections if connection.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_a_configuration_that_the_application_refuses_is_one_line_of_error(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    completed = subprocess.run(
        [sys.executable, "-m", "deployments.serve", str(config), "--port", str(free_port())],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients'}"},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert completed.returncode == 1
    fault = "models.mock.default_variant: no variant 'loudest'; variants: mock"
    assert completed.stderr == f"audiograph: applications[0].args: {fault}\n"
