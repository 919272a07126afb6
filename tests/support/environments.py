"""Environments of a test's own, in which nothing runs."""

import shutil
from pathlib import Path

from deployments.environments import STAMP


class Environments:
    """A folder of environments, and the lock of one that is called ``toys``."""

    def __init__(self, root: Path) -> None:
        self.folder, self.locks = root / ".environments", root / "requirements" / "environments"
        self.locks.mkdir(parents=True)
        self.lock("toys", "toys==1.0\n")

    def lock(self, name: str, text: str) -> None:
        (self.locks / f"{name}.txt").write_text(text)

    def make(self, name: str) -> None:
        """As far as the server looks at it."""
        (self.folder / name).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.locks / f"{name}.txt", self.folder / name / STAMP)
