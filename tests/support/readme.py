"""What README.md tells the reader to write."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def added_model() -> tuple[str, dict[str, Any]]:
    """The Python file and the entry of the section "Add a model"."""
    text = (ROOT / "README.md").read_text()
    section = re.search(r"^## Add a model\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert section, "README.md has no section 'Add a model'"
    (source,) = re.findall(r"^```python\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    (entry,) = re.findall(r"^```yaml\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    return source, yaml.safe_load(entry)
