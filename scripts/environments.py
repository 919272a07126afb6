"""Make the environments that models have to themselves, from their locks in requirements/environments.

An environment holds what its lock pins, and a ``.pth`` file that names the packages of the environment that
runs this, which come after them. So it is small and made within a minute, and its Ray is the same.

It is made again when its lock has changed, or when it lies over another environment. One that was cut off
half-way has no stamp, so it is made again too.
"""

import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from deployments.environments import FOLDER, LOCKS, STAMP, python_of

LAYER = "layer.pth"

UNFIT = ("torchaudio/lib",)
"""Compiled parts that are removed: torchaudio's are made for CUDA and do not load beside a torch for CPUs.
What the models use of it is Python, which does without them, alike on every machine."""


class Unmade(Exception):
    """Why an environment could not be made, as a sentence."""


def is_current(name: str) -> bool:
    """Whether an environment is whole, of its lock, and over the environment that runs this."""
    stamp, layer = FOLDER / name / STAMP, _packages(name) / LAYER
    made_of = (stamp.read_text(), layer.read_text()) if stamp.is_file() and layer.is_file() else None
    return made_of == (_lock(name).read_text(), _layered())


def make(name: str) -> None:
    """Make an environment anew.

    Raises:
        Unmade: pip could not install its lock.
    """
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    venv.create(FOLDER / name, symlinks=True)
    _install(name)
    for part in UNFIT:
        shutil.rmtree(_packages(name) / part, ignore_errors=True)
    (_packages(name) / LAYER).write_text(_layered())
    shutil.copyfile(_lock(name), FOLDER / name / STAMP)


def _install(name: str) -> None:
    """By the pip that is here: the environment needs none. It does not see the layer below yet."""
    options = ["--quiet", "--no-deps", "--no-compile", "--requirement", str(_lock(name))]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(python_of(name))]
    done = subprocess.run([*pip, "install", *options], check=False)
    if done.returncode != 0:
        raise Unmade(f"the environment {name!r} could not be made: pip cannot install {_lock(name)}")


def _lock(name: str) -> Path:
    return LOCKS / f"{name}.txt"


def _packages(name: str) -> Path:
    """Where an environment's own packages are, if its Python has the version of this one."""
    home = str(FOLDER / name)
    return Path(sysconfig.get_path("purelib", "venv", {"base": home, "platbase": home}))


def _layered() -> str:
    return sysconfig.get_path("purelib") + "\n"


def main() -> None:
    """Make every environment that is not current."""
    for name in sorted(lock.stem for lock in LOCKS.glob("*.txt")):
        if not is_current(name):
            print(f"making the environment {name} …", flush=True)
            try:
                make(name)
            except Unmade as error:
                sys.exit(str(error))


if __name__ == "__main__":
    main()
