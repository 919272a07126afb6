"""Write requirements/*.txt: the installed versions of all packages that pyproject.toml's groups depend on.

The locks are complete, so `pip install --no-deps` needs no resolver: it is fast, and all machines get the
same packages. Three packages are excluded. torch has its own lock, which is installed first with its
dependencies, because they differ between CPU and GPU builds. triton, a dependency of openai-whisper of one
gigabyte, is useful only with a GPU build of torch, which installs it. docopt serves only the command line of
num2words, and would have to be built.
"""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXCLUDED = {"torch", "triton", "docopt"}

TITLES = {
    "torch": (
        "torch, installed first, with its own dependencies. A CPU build of this version satisfies the pin."
    ),
    "serve": "Every package of the server except torch: install with --no-deps.",
    "voices": "The espeak voices (GPL-3.0), optional: install with --no-deps.",
    "dev": "Packages for development, in addition to the server's: install with --no-deps.",
}


def closure(requirements: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of requirements and all of their dependencies, by name."""
    versions: dict[str, str] = {}
    pending = [Requirement(text) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while pending:
        requirement = pending.pop()
        name = canonicalize_name(requirement.name)
        if name in EXCLUDED or (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        package = distribution(name)
        versions[name] = package.version
        for line in package.requires or []:
            dependency = Requirement(line)
            if _applies(dependency, requirement.extras):
                pending.append(dependency)
    return versions


def _applies(dependency: Requirement, extras: set[str]) -> bool:
    marker = dependency.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})


def locks() -> dict[str, dict[str, str]]:
    """Return the versions of each lock, without duplicates; the server's includes the client's packages."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    serve = closure([*project["project"]["dependencies"], *groups["serve"]])
    voices = closure(groups["voices"])
    dev = closure(groups["dev"])
    return {
        "torch": {"torch": re.sub(r"\+.*", "", distribution("torch").version)},
        "serve": serve,
        "voices": {name: voices[name] for name in voices.keys() - serve.keys()},
        "dev": {name: dev[name] for name in dev.keys() - serve.keys() - voices.keys()},
    }


def text(title: str, versions: dict[str, str]) -> str:
    """Return the text of a lock, in pip's format."""
    pins = "".join(f"{name}=={versions[name]}\n" for name in sorted(versions))
    return f"# {title}\n# Written by scripts/lock.py (make lock).\n{pins}"


def main() -> None:
    """Write every lock."""
    for name, versions in locks().items():
        path = ROOT / "requirements" / f"{name}.txt"
        path.write_text(text(TITLES[name], versions))
        print(f"{path.relative_to(ROOT)}: {len(versions)} packages")


if __name__ == "__main__":
    main()
