"""Runs the tests of each model environment inside of it, with the same pytest."""

import os
import subprocess
from pathlib import Path

import pytest

from deployments import environments

HERE = Path(__file__).parent
NAMES = sorted(lock.stem for lock in environments.LOCKS.glob("*.txt"))
SECONDS = 540


@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", NAMES)
def test_the_tests_of_an_environment_pass_inside_of_it(name: str) -> None:
    assert environments.missing(name) is None
    options = ["-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / name)]
    paths = os.pathsep.join(map(str, (environments.ROOT, environments.ROOT / "clients")))
    done = subprocess.run(
        [environments.python_of(name), *options],
        cwd=environments.ROOT,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
