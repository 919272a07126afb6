"""The rules of the rooms: the imports that each folder may have, read from every file's syntax tree.

docs/architecture.md shows the rooms. Each rule is a row of `RULES`.
"""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("clients/audiograph", "deployments", "graphs")

FLOORS = (
    ("graphs",),
    ("deployments.ingress",),
    ("deployments.jobs",),
    ("deployments.replica",),
    ("deployments.models", "deployments.storage"),
    ("deployments.audio",),
    ("deployments.config", "deployments.logs", "deployments.threads", "deployments.environments"),
    ("audiograph",),
)
"""From the top to the ground; imports run down only, and not within a floor of several rooms."""

HEAVY = {"torch", "transformers", "librosa", "whisper", "demucs", "diffusers", "matplotlib", "silero_vad"}
KIT = "deployments.models.kit"
WEIGHTS = "deployments.models.weights"
FAMILY_MAY_IMPORT = (
    "deployments.models.base",
    "deployments.models.voices",
    "deployments.models.sentences",
    KIT,
    WEIGHTS,
    "deployments.audio",
)
LAUNCHER_MAY_IMPORT = (
    "deployments.config",
    "deployments.storage",
    "deployments.models",
    "deployments.serve",
    "audiograph",
)
ASSEMBLERS = ("deployments.models.registry", "deployments.models.loading")
"""Modules that see families from above."""
DBOS_ROOMS = ("deployments.jobs.durable", "deployments.jobs.sqlite_clock")


@dataclass(frozen=True, slots=True)
class Import:
    """One import of one file."""

    file: Path
    line: int
    importer: str
    """Module of the file."""
    imported: str
    """Module or member, with its full path."""
    at_module_level: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} imports {self.imported}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, and the condition of the imports that break it."""

    text: str
    is_broken_by: Callable[[Import], bool]


def below(module: str, *rooms: str) -> bool:
    """Return whether a module is one of these rooms, or lies in one of them."""
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def floor_of(module: str) -> int | None:
    """Return the floor of a module; None for modules outside of the building, and for the launcher."""
    return next((n for n, rooms in enumerate(FLOORS) if below(module, *rooms)), None)


def room_of(module: str) -> str | None:
    """Return the room of a module."""
    return next((room for rooms in FLOORS for room in rooms if below(module, room)), None)


def runs_up(found: Import) -> bool:
    """Return whether an import runs up, or to another room on the same floor."""
    start, end = floor_of(found.importer), floor_of(found.imported)
    if start is None or end is None:
        return False
    return end < start or (end == start and room_of(found.importer) != room_of(found.imported))


def family_of(module: str) -> str | None:
    """Return the family of a module, such as ``whisper`` or ``mock``; None outside of families."""
    parts = module.split(".")
    shared = {"base", "voices", "sentences", "registry", "loading", "kit", "weights"}
    is_family = parts[:2] == ["deployments", "models"] and len(parts) > 2 and parts[2] not in shared
    return parts[2] if is_family else None


def family_leaves_its_room(found: Import) -> bool:
    """Return whether a family, the kit or the interface imports a room above or beside the models."""
    if not below(found.importer, "deployments.models") or found.importer in ASSEMBLERS:
        return False
    inside = below(found.imported, "deployments.config", *FAMILY_MAY_IMPORT)
    own = family_of(found.importer) is not None and family_of(found.importer) == family_of(found.imported)
    return below(found.imported, "deployments", "graphs", "ray", "dbos") and not (inside or own)


def knows_another_family(found: Import) -> bool:
    """Return whether a module imports a family that is not its own."""
    family = family_of(found.imported)
    return family is not None and family != family_of(found.importer)


def sees_a_model(found: Import) -> bool:
    """Return whether a room other than models and replica imports the author's interface or the kit."""
    if below(found.importer, "deployments.models", "deployments.replica"):
        return False
    return below(found.imported, "deployments.models.base", KIT)


def enters_replica(found: Import) -> bool:
    """Return whether a module outside of the replica imports more of it than its protocol and handle."""
    if below(found.importer, "deployments.replica") or not below(found.imported, "deployments.replica"):
        return False
    doors = ["deployments.replica.protocol", "deployments.replica.handle"]
    if found.importer == "graphs.app":
        doors.append("deployments.replica.replica")
    return not below(found.imported, *doors)


def dialect_of(module: str) -> str | None:
    """Return the dialect of a module of the ingress; None for what dialects share."""
    parts = module.split(".")
    is_folder = (ROOT / "deployments" / "ingress" / parts[2]).is_dir() if len(parts) > 2 else False
    return parts[2] if parts[:2] == ["deployments", "ingress"] and is_folder and parts[2] != "http" else None


def knows_another_dialect(found: Import) -> bool:
    """Return whether a dialect, or what dialects share, imports a dialect that is not its own."""
    dialect = dialect_of(found.imported)
    if not below(found.importer, "deployments.ingress") or found.importer == "deployments.ingress.app":
        return False
    return dialect is not None and dialect != dialect_of(found.importer)


def touches_dbos_inside(found: Import) -> bool:
    """Return whether a module imports private names of DBOS."""
    private = any(part.startswith("_") for part in found.imported.split("."))
    return below(found.imported, "dbos") and private and not below(found.importer, *DBOS_ROOMS)


def launcher_leaves_its_room(found: Import) -> bool:
    """Return whether the launcher imports more than configuration, keys and the models' weights."""
    ours = below(found.imported, "deployments", "graphs")
    return (
        below(found.importer, "deployments.serve")
        and ours
        and not below(found.imported, *LAUNCHER_MAY_IMPORT)
    )


def enters_the_launcher(found: Import) -> bool:
    """Return whether a room of the building imports the launcher."""
    return floor_of(found.importer) is not None and below(found.imported, "deployments.serve")


RULES = (
    Rule("imports run down the floors only", runs_up),
    Rule(
        "clients/audiograph imports nothing of the server",
        lambda found: below(found.importer, "audiograph") and below(found.imported, "deployments", "graphs"),
    ),
    Rule(
        "models import models.base, models.voices, kit, weights and audio; no other room",
        family_leaves_its_room,
    ),
    Rule(
        "a family is loaded by its name in the configuration, and imported by no other", knows_another_family
    ),
    Rule("only models and replica see model objects", sees_a_model),
    Rule("of replica, others import only protocol and handle", enters_replica),
    Rule("a dialect imports no other dialect", knows_another_dialect),
    Rule("only jobs/durable.py and jobs/sqlite_clock.py import private names of DBOS", touches_dbos_inside),
    Rule("the launcher imports config, storage and its own files", launcher_leaves_its_room),
    Rule("no room imports the launcher", enters_the_launcher),
    Rule(
        "heavy packages are imported inside functions",
        lambda found: found.at_module_level and found.imported.split(".")[0] in HEAVY,
    ),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.text)
def test_the_rule_holds(rule: Rule) -> None:
    broken = [str(found) for found in imports() if rule.is_broken_by(found)]
    assert not broken, "\n".join([rule.text, *broken])


def test_there_is_no_circle() -> None:
    """Look at each folder by itself: the imports between its files and subfolders form no circle."""
    arrows: dict[Path, dict[str, set[str]]] = {}
    for found in imports():
        target = path_of(found.imported) if is_ours(found.imported) else None
        if target and target != ROOT / found.file:
            folder, start, end = _where_they_part(found.file, target.relative_to(ROOT))
            arrows.setdefault(folder, {}).setdefault(start, set()).add(end)
    for folder, graph in arrows.items():
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as circle:
            pytest.fail(f"a circle in {folder}: {' <- '.join(circle.args[1])}")


def test_every_import_of_ours_names_a_file() -> None:
    """Keep the other tests honest: an import that they cannot place would break no rule."""
    unplaced = [str(found) for found in imports() if is_ours(found.imported) and not path_of(found.imported)]
    assert not unplaced, "\n".join(unplaced)


def test_dbos_is_not_reached_into_by_attribute() -> None:
    """Find ``DBOS._name`` outside of the two files that may use private names."""
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}: DBOS.{node.attr}"
        for file, module in files()
        if not below(module, *DBOS_ROOMS)
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_")
        if isinstance(node.value, ast.Name) and node.value.id in ("DBOS", "DBOSClient")
    ]
    assert not found, "\n".join(found)


def test_clients_name_nothing_of_the_server() -> None:
    """Find modules of the server in strings, by which they could be imported."""
    named = [
        f"{file.relative_to(ROOT)}:{node.lineno}: {node.value[:60]!r}"
        for file, module in files()
        if below(module, "audiograph")
        for node in ast.walk(_tree(file))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if node.value.startswith(("deployments.", "deployments/", "graphs."))
    ]
    assert not named, "\n".join(named)


@cache
def imports() -> tuple[Import, ...]:
    """Return every import of the client and the server."""
    return tuple(found for file, module in files() for found in _imports_of(file, module))


@cache
def files() -> tuple[tuple[Path, str], ...]:
    """Return every source file with its module."""
    return tuple(
        (file, _module_of(file)) for source in SOURCES for file in sorted((ROOT / source).rglob("*.py"))
    )


def _module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    parts = parts[1:] if parts[0] == "clients" else parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def is_ours(module: str) -> bool:
    """Return whether a module is one of the client or the server."""
    return below(module, "audiograph", "deployments", "graphs")


@cache
def path_of(name: str) -> Path | None:
    """Return the file of a module, or of the module that a member belongs to; None if there is neither."""
    for module in (name, name.rpartition(".")[0]):
        base = ROOT / ("clients" if below(module, "audiograph") else "") / module.replace(".", "/")
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def _where_they_part(one: Path, other: Path) -> tuple[Path, str, str]:
    """Return the last folder that two paths share, and the two entries in it that lead to them."""
    depth = next(
        n for n, (mine, theirs) in enumerate(zip(one.parts, other.parts, strict=False)) if mine != theirs
    )
    return Path(*one.parts[:depth]), one.parts[depth], other.parts[depth]


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _imports_of(file: Path, module: str) -> Iterator[Import]:
    tree = _tree(file)
    top = {id(node) for node in _module_level(tree.body)}
    for node in ast.walk(tree):
        for name in _imported(node, module, is_package=file.name == "__init__.py"):
            assert isinstance(node, ast.Import | ast.ImportFrom)
            yield Import(file.relative_to(ROOT), node.lineno, module, name, id(node) in top)


def _imported(node: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Yield the full names that a statement imports; ``from package import name`` is ``package.name``."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        start = node.module or ""
        if node.level:
            parts = module.split(".")
            parents = parts[: len(parts) - node.level + is_package]
            start = ".".join([*parents, *filter(None, [node.module])])
        yield from (f"{start}.{alias.name}" for alias in node.names)


def _module_level(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run at import; those under ``if TYPE_CHECKING`` do not."""
    for statement in statements:
        if isinstance(statement, ast.If):
            if ast.unparse(statement.test).endswith("TYPE_CHECKING"):
                continue
            yield from _module_level([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Try):
            yield from _module_level([*statement.body, *statement.orelse, *statement.finalbody])
        else:
            yield statement
