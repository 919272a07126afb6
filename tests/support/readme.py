"""Reads the commands, programs and files in the documents, so that tests run them."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
EXECUTED = ("README.md", "docs/api.md", "docs/operating.md")
"""Documents whose commands and programs are run, in this order and in one folder: later ones use files of
earlier ones."""


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of a language in all executed documents, in order."""
    text = "\n".join((ROOT / name).read_text() for name in EXECUTED)
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def console_lines() -> list[str]:
    """Return every command of the console blocks, each with its continuation lines."""
    text = "\n".join(blocks("console"))
    return re.findall(r"^\$ ((?:.*\\\n)*.*)$", text, re.MULTILINE)


def commands() -> list[str]:
    """Return the commands that talk to a running server."""
    return [
        line for line in console_lines() if re.match(r"(audiograph (?!keys)|job=|FILE=|curl|printf)", line)
    ]


def programs() -> list[str]:
    """Return the programs that talk to a running server."""
    return [block for block in blocks("python") if "Audiograph(" in block or "OpenAI(" in block]


def added_model() -> tuple[str, dict[str, Any]]:
    """Return the Python file and the entry of the README's section "Add a model"."""
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## Add a model\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, "README.md has no section 'Add a model'"
    (source,) = re.findall(r"^```python\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    (entry,) = re.findall(r"^```yaml\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    return source, yaml.safe_load(entry)
