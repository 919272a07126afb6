"""Write requirements/*.txt: every version that the groups of pyproject.toml stand on, from this environment.

The locks are complete, so that `pip install --no-deps` needs no resolver: it is fast, and two machines get
the same packages. Two things are left to others: torch has a lock of its own, installed first with its own
dependencies (which differ between CPU and GPU builds), and triton, a gigabyte that openai-whisper asks for
and that is of use only beside a GPU build of torch, which brings it.
"""

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = {"torch", "triton"}

TITLES = {
    "torch": "torch, installed first, with its own dependencies. A CPU build of this version satisfies the pin.",
    "serve": "Every package of the server except torch: install with --no-deps.",
    "voices": "The espeak voices (GPL-3.0), optional: install with --no-deps.",
    "dev": "Packages for development, in addition to the server's: install with --no-deps.",
}


def closure(wanted: Iterable[str]) -> dict[str, str]:
    """Installed versions by name of the wanted requirements and of all they need here."""
    found: dict[str, str] = {}
    waiting = [Requirement(text) for text in wanted]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in LEFT_OUT or (name, frozenset(requirement.extras)) in seen:
            continue
        seen.add((name, frozenset(requirement.extras)))
        package = distribution(name)
        found[name] = package.version
        for line in package.requires or []:
            needed = Requirement(line)
            if _applies(needed, requirement.extras):
                waiting.append(needed)
    return found


def _applies(needed: Requirement, extras: set[str]) -> bool:
    marker = needed.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""})


def locks() -> dict[str, dict[str, str]]:
    """The versions of each lock, none named twice. The client's own needs are part of the server's."""
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
    """One lock as pip reads it."""
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
