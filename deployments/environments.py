"""Python environments that models have to themselves, where their needs fit nobody else's.

Each has a lock, ``requirements/environments/NAME.txt``, from which ``make envs`` (scripts/environments.py)
makes ``.environments/NAME``. It is layered over the environment of the server: what the lock does not pin,
Ray and torch above all, is the server's own.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".environments"
LOCKS = ROOT / "requirements" / "environments"

STAMP = "lock.txt"
"""A copy of the lock, written last: an environment without it is not whole."""


def python_of(name: str) -> Path:
    """The interpreter of an environment, whether or not it is there."""
    return FOLDER / name / "bin" / "python"


def missing(name: str) -> str | None:
    """What must be done before a model can run in an environment, as a sentence; None if nothing."""
    lock, stamp = LOCKS / f"{name}.txt", FOLDER / name / STAMP
    if not lock.is_file():
        return f"its environment {name!r} has no lock; write {lock.relative_to(ROOT)} and run `make envs`"
    if not stamp.is_file():
        return f"its environment {name!r} is not here; run `make envs`"
    if stamp.read_text() != lock.read_text():
        return f"its environment {name!r} is not that of its lock; run `make envs`"
    return None
