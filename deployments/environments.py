"""Per-model Python environments, for conflicting dependencies.

Each has a lock, ``requirements/environments/NAME.txt``, from which ``make envs`` (scripts/environments.py)
builds ``.environments/NAME``. It is layered over the server's environment: packages that the lock does not
pin, Ray and torch above all, are the server's own.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".environments"
LOCKS = ROOT / "requirements" / "environments"

STAMP = "lock.txt"
"""A copy of the lock, written last: an environment without it is incomplete."""


def python_of(name: str) -> Path:
    """Return the path of an environment's interpreter, which may not exist."""
    return FOLDER / name / "bin" / "python"


def missing(name: str) -> str | None:
    """Say what must be done before a model can run in an environment; None if it is ready."""
    lock, stamp = LOCKS / f"{name}.txt", FOLDER / name / STAMP
    if not lock.is_file():
        return f"its environment {name!r} has no lock; write {lock.relative_to(ROOT)} and run `make envs`"
    if not stamp.is_file():
        return f"its environment {name!r} does not exist; run `make envs`"
    if stamp.read_text() != lock.read_text():
        return f"its environment {name!r} was built from another lock; run `make envs`"
    return None
