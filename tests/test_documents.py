"""The documents: their links, paths, commands and tables are those of the project."""

import re
from pathlib import Path

import pytest
import yaml

from deployments.config import AppConfig
from deployments.serve.file import load_file
from scripts import model_docs
from tests.support.readme import commands, console_lines

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("k8s/*.md"))]
NOT_RUN = ("make ", "source ", "audiograph keys ", "python -m deployments.serve", "AUDIOGRAPH_API_KEY=")
"""Beginnings of commands that other tests run, or that need no test."""


def prose(document: Path) -> str:
    """Return a document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub builds them."""
    headings = re.findall(r"^#+ (.*)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        path = (document.parent / name).resolve() if name else document
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_in_the_text_exist(document: Path) -> None:
    start = r"(?:deployments|graphs|clients|tests|scripts|requirements|docs|k8s|benchmarks)/"
    for path in re.findall(rf"`({start}[\w./-]+)`", prose(document)):
        assert (ROOT / path).exists() or path.endswith(("/loudness.py", "/NAME.txt")), path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_targets_of_make_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^\$ |`)make ([a-z-]+)", document.read_text(), re.MULTILINE)
    assert set(named) <= targets


def test_every_command_is_run_or_known() -> None:
    left = [line for line in console_lines() if line not in commands() and not line.startswith(NOT_RUN)]
    assert not left


def test_the_tables_are_up_to_date() -> None:
    assert not model_docs.stale()


def test_every_model_has_a_section() -> None:
    names = {*load_file(ROOT / "serve_config.yaml").application.args.models}
    assert names <= anchors(ROOT / "docs" / "models.md")


def test_every_key_of_the_configuration_is_described() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    rows = "\n".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE))
    assert {*AppConfig.model_fields} <= set(re.findall(r"`(\w+)`", rows))


def test_the_workflow_runs_what_every_change_must_pass() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    steps = workflow["jobs"]["ci"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
