"""API keys from ``audiograph keys``, run in the checkout as an operator does."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def keys(config: Path, *arguments: str) -> str:
    """Run ``audiograph keys ARGUMENTS`` for the server of a configuration and return its output."""
    completed = subprocess.run(
        [sys.executable, "-m", "audiograph", "keys", *arguments, "--config", str(config)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "clients")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout.strip()
