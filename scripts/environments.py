"""Build the Python environments of single models from their locks in requirements/environments.

An environment holds the packages that its lock pins, and a ``.pth`` file that adds the packages of the
environment that runs this script, with lower priority. So it is small, is built within a minute, and has the
same Ray.

It is rebuilt when its lock has changed, or when it lies over another environment. An incomplete one has no
stamp, so it is rebuilt too.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from deployments.environments import FOLDER, LOCKS, STAMP, python_of

LAYER = "layer.pth"

INCOMPATIBLE = ("torchaudio/lib",)
"""Compiled parts to remove: torchaudio's are built for CUDA and do not load beside a torch for CPUs. The
models use only its Python code, which works without them on every machine."""


class EnvironmentFailed(Exception):
    """An environment could not be built."""


def is_current(name: str) -> bool:
    """Return whether an environment is complete, matches its lock, and lies over the running environment."""
    stamp, layer = FOLDER / name / STAMP, _packages(name) / LAYER
    built_from = (stamp.read_text(), layer.read_text()) if stamp.is_file() and layer.is_file() else None
    return built_from == (_lock(name).read_text(), _base_packages())


def build(name: str) -> None:
    """Build an environment, and delete its predecessor first.

    Raises:
        EnvironmentFailed: pip could not install the lock.
    """
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    venv.create(FOLDER / name, symlinks=True)
    _install(name)
    for part in INCOMPATIBLE:
        shutil.rmtree(_packages(name) / part, ignore_errors=True)
    (_packages(name) / LAYER).write_text(_base_packages())
    shutil.copyfile(_lock(name), FOLDER / name / STAMP)


def _install(name: str) -> None:
    """Install the lock with the pip of the running environment, before the layer below is added."""
    options = ["--quiet", "--no-deps", "--no-compile", "--requirement", str(_lock(name))]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python_of(name))]
    done = subprocess.run([*pip, "install", *options], check=False)
    if done.returncode != 0:
        raise EnvironmentFailed(
            f"the environment {name!r} could not be built: pip cannot install {_lock(name)}"
        )


def _lock(name: str) -> Path:
    return LOCKS / f"{name}.txt"


def _packages(name: str) -> Path:
    """Return the folder of an environment's own packages; its Python has the version of the running one."""
    home = str(FOLDER / name)
    return Path(sysconfig.get_path("purelib", "venv", {"base": home, "platbase": home}))


def _base_packages() -> str:
    """Return the line of the ``.pth`` file that adds the running environment's packages."""
    return sysconfig.get_path("purelib") + "\n"


def main() -> None:
    """Build every environment that is not current."""
    for name in sorted(lock.stem for lock in LOCKS.glob("*.txt")):
        if not is_current(name):
            print(f"building the environment {name} …", flush=True)
            try:
                build(name)
            except EnvironmentFailed as error:
                sys.exit(str(error))


if __name__ == "__main__":
    main()
