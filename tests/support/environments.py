"""Temporary Python environments for tests; nothing runs in them."""

import shutil
from pathlib import Path

from deployments.environments import STAMP


class Environments:
    """A folder of environments, and a folder of their locks; one named ``toys`` has a lock."""

    def __init__(self, root: Path) -> None:
        self.folder, self.locks = root / ".environments", root / "requirements" / "environments"
        self.locks.mkdir(parents=True)
        self.lock("toys", "toys==1.0\n")

    def lock(self, name: str, text: str) -> None:
        """Write the lock of an environment."""
        (self.locks / f"{name}.txt").write_text(text)

    def make(self, name: str) -> None:
        """Create the parts of an environment that the server checks."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.locks / f"{name}.txt", self.folder / name / STAMP)
