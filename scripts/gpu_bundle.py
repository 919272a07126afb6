"""Collect what `python -m benchmarks.gpu` needs on a machine without a package index, in one folder.

That machine has Python 3.12 on x86-64 Linux, PyTorch and transformers with their dependencies. The folder has
the code, a script that runs it, and all other packages as wheels, in the versions of the server's lock.

Left out are packages that are large and only needed off the GPU: numba and llvmlite (times of words), scipy
and librosa (pitch analysis, loudness), silero-vad. Where the machine has them, they are used.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "gpu_bundle"
LOCK = ROOT / "requirements" / "serve.txt"
PYTHON = "3.12"
MAX_WHEEL_BYTES = 60 * 10**6

PACKAGES = (
    *("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions"),
    *("httpx", "httpx-sse", "httpcore", "h11", "anyio", "idna", "certifi"),
    *("typer", "click", "shellingham", "rich", "markdown-it-py", "mdurl", "pygments", "annotated-doc"),
    *("soundfile", "cffi", "pycparser", "soxr", "av", "threadpoolctl"),
    *("demucs", "julius", "einops"),
    *("openai-whisper", "tiktoken", "more-itertools", "requests", "charset-normalizer", "urllib3"),
)
"""Some of them come with transformers in most versions; the runner installs those that are missing."""
CODE = ("benchmarks", "deployments", "clients/audiograph", "serve_config.yaml", "LICENSE")
RUNNER = ROOT / "benchmarks" / "gpu.sh"


def collect(bundle: Path = BUNDLE) -> None:
    """Build the folder anew.

    Raises:
        SystemExit: pip cannot fetch a wheel, or the wheels are too large or not plain archives.
    """
    shutil.rmtree(bundle, ignore_errors=True)
    for name in CODE:
        _copy(ROOT / name, bundle / name)
    shutil.copy(RUNNER, bundle / "run.sh")
    wheels = bundle / "wheels"
    _fetch(pins(LOCK.read_text()), wheels)
    check(wheels)


def pins(lock: str) -> list[str]:
    """Return the lines of a lock that pin one of `PACKAGES`.

    Raises:
        SystemExit: one of them is not in the lock.
    """
    by_name = {line.partition("==")[0]: line for line in lock.splitlines() if "==" in line}
    if missing := [name for name in PACKAGES if name not in by_name]:
        sys.exit(f"requirements/serve.txt has no {', '.join(missing)}")
    return [by_name[name] for name in PACKAGES]


def check(wheels: Path) -> None:
    """Check that the wheels are small enough, and that unpacking is all that they need to be installed.

    Raises:
        SystemExit: they are not.
    """
    files = sorted(wheels.glob("*.whl"))
    size = sum(file.stat().st_size for file in files)
    if size > MAX_WHEEL_BYTES:
        sys.exit(f"the wheels take {size / 1e6:.1f} MB, more than {MAX_WHEEL_BYTES / 1e6:.0f} MB")
    for file in files:
        with zipfile.ZipFile(file) as archive:
            places = {name.split("/")[1] for name in archive.namelist() if ".data/" in name}
        if places & {"purelib", "platlib"}:
            sys.exit(f"{file.name} has modules in its .data folder: unpacking it does not install it")
    print(f"{len(files)} wheels, {size / 1e6:.1f} MB")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    else:
        shutil.copy(source, target)


def _fetch(requirements: list[str], wheels: Path) -> None:
    """Download wheels for the machine's Python; build those that are published as source alone."""
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    there = ["--python-version", PYTHON, "--implementation", "cp", "--only-binary=:all:", *_platforms()]
    with tempfile.TemporaryDirectory() as built:
        for requirement in requirements:
            download = [*pip, "download", "--no-deps", *there, "--dest", str(wheels), requirement]
            if subprocess.run(download, check=False, capture_output=True).returncode:
                build = [*pip, "wheel", "--no-deps", "--wheel-dir", built, requirement]
                subprocess.run(build, check=True)
        for wheel in Path(built).iterdir():
            if not wheel.name.endswith("-none-any.whl"):
                sys.exit(f"{wheel.name} was built for this machine; it may not run on another")
            shutil.move(wheel, wheels)


def _platforms() -> list[str]:
    """Return the platforms of wheels that a Linux of the last years can load; pip matches names exactly."""
    names = ["manylinux2014", "manylinux1", "manylinux2010", *(f"manylinux_2_{n}" for n in (17, 24, 27, 28))]
    return [option for name in names for option in ("--platform", f"{name}_x86_64")]


if __name__ == "__main__":
    collect()
    print(f"run it with: bash {BUNDLE.relative_to(ROOT)}/run.sh")
