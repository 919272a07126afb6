"""``python -m deployments.serve`` keeps to loopback, and says what is wrong. How it ends, `Server` checks."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deployments.serve.ports import free_port
from tests.serve.conftest import ROOT, START_SECONDS, Server

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
    listening = {one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_a_configuration_that_the_application_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG)
    told = subprocess.run(
        [sys.executable, "-m", "deployments.serve", str(config), "--port", str(free_port())],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'clients'}"},
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert told.returncode == 1
    what = "models.mock.default_variant: no variant 'loudest'; variants: mock"
    assert told.stderr == f"audiograph: applications[0].args: {what}\n"
