"""API keys as an operator makes them: with ``audiograph keys``, in the checkout."""

import os
import subprocess
import sys

from tests.serve.conftest import ROOT, Server


def keys(server: Server, *arguments: str) -> str:
    """What ``audiograph keys ARGUMENTS`` prints, for this server."""
    completed = subprocess.run(
        [sys.executable, "-m", "audiograph", "keys", *arguments, "--config", str(server.config)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "clients")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()
