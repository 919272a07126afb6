"""API keys as an operator makes them: with ``audiograph keys``, in the checkout."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def keys(config: Path, *arguments: str) -> str:
    """What ``audiograph keys ARGUMENTS`` prints, for the server of a configuration."""
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
