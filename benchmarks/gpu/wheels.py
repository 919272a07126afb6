"""Unpacks the wheels of packages that a machine lacks: ``python -m benchmarks.gpu.wheels WHEELS TARGET``.

It uses the standard library alone. The machine's own packages are kept: they fit its PyTorch.
"""

import re
import sys
import zipfile
from importlib.metadata import distributions
from pathlib import Path


def unpack_missing(wheels: Path, target: Path) -> list[str]:
    """Unpack wheels of packages that are not installed, and return the names of the files."""
    installed = {_normalized(each.metadata["Name"] or "") for each in distributions()}
    missing = [file for file in sorted(wheels.glob("*.whl")) if _package(file) not in installed]
    for file in missing:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(target)
    return [file.name for file in missing]


def _package(wheel: Path) -> str:
    return _normalized(wheel.name.partition("-")[0])


def _normalized(name: str) -> str:
    """Return the name of a package as the standard of package names compares it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print("unpacked:", *unpack_missing(Path(sys.argv[1]), Path(sys.argv[2])))
