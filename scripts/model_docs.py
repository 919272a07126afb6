"""Write the tables of docs/ from the classes that they describe: ``python scripts/model_docs.py [--check]``.

A table lies between the comments ``<!-- table: KIND NAME -->`` and ``<!-- end -->``. `TABLES` lists the
kinds. With --check nothing is written, and the exit status tells whether the tables are up to date.
"""

import json
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from audiograph import schemas
from deployments import config
from deployments.config import AppConfig
from deployments.models.base import Family
from deployments.models.kit.parameters import Parameters
from deployments.models.kit.speech_model import SpeechModel
from deployments.models.registry import model_class
from deployments.serve.file import load_file

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"

_MARKED = re.compile(r"(<!-- table: (\w+) ?([\w-]*) -->\n).*?(<!-- end -->)", re.DOTALL)
_CODE = re.compile(r"``([^`]+)``")
_INTERVALS = (
    ("minimum", "maximum", ""),
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " entries"),
)
_BOUNDS = (
    ("minimum", "≥", ""),
    ("exclusiveMinimum", ">", ""),
    ("maximum", "≤", ""),
    ("exclusiveMaximum", "<", ""),
    ("minLength", "≥", " characters"),
    ("maxLength", "≤", " characters"),
    ("minItems", "≥", " entries"),
    ("maxItems", "≤", " entries"),
)
"""Bounds of a JSON schema, with their sign and unit."""


def table(kind: str, name: str) -> str:
    """Write one table."""
    return TABLES[kind](name)


def stale() -> dict[Path, str]:
    """Map each document with outdated tables to its new text."""
    texts = {path: path.read_text("utf-8") for path in sorted(DOCS.glob("*.md"))}
    return {path: new for path, text in texts.items() if (new := updated(text)) != text}


def updated(text: str) -> str:
    """Return a document with all of its tables rewritten."""
    return _MARKED.sub(lambda found: f"{found[1]}\n{table(found[2], found[3])}\n\n{found[4]}", text)


def fields(cls: type[BaseModel], without: Collection[str] = ()) -> str:
    """Write the fields of a class, with their descriptions."""
    schema = cls.model_json_schema()
    rows = [
        (
            f"`{field.alias or name}`",
            _type(_property(schema, field.alias or name)),
            _default(field),
            _range(_property(schema, field.alias or name)),
            _prose(field.description or ""),
        )
        for name, field in cls.model_fields.items()
        if name not in without
    ]
    return _markdown(("field", "type", "default", "range", "meaning"), rows)


def models() -> dict[str, type[Family[Any, Any]]]:
    """Return the classes of the models in serve_config.yaml, by name."""
    entries = load_file(ROOT / "serve_config.yaml").application.args.models
    return {name: model_class(name, entry) for name, entry in entries.items()}


def _families(_: str) -> str:
    rows = [
        (
            f"[`{name}`](#{name})",
            _codes(cls.tasks),
            ", ".join(f"**`{one}`**" if one == cls.default_variant else f"`{one}`" for one in cls.variants),
            _voices(cls),
        )
        for name, cls in models().items()
    ]
    return _markdown(("model", "tasks", "variants", "voices"), rows)


def _voices(cls: type[Family[Any, Any]]) -> str:
    if not issubclass(cls, SpeechModel):
        return ""
    if not cls.clones_voices:
        return "built in"
    return "recorded, with a transcript" if cls.needs_transcripts else "recorded"


def _requests(task: str) -> str:
    """Write the fields of one task, or those of every request for the name ``common``."""
    if task == "common":
        return fields(schemas.Request)
    cls = next(one for one in schemas.Request.__subclasses__() if one.model_fields["task"].default == task)
    return fields(cls, without={*schemas.Request.model_fields, "task"})


def _parameters(model: str) -> str:
    module = sys.modules[models()[model].__module__]
    (cls,) = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Parameters) and one is not Parameters
    ]
    return fields(cls)


def _options(model: str) -> str:
    return fields(models()[model].options_class)


def _configuration(section: str) -> str:
    """Write the keys of a section of `AppConfig`; ``models`` are those of one model's entry."""
    if section == "models":
        return fields(config.ModelConfig)
    annotation = AppConfig.model_fields[section].annotation
    assert isinstance(annotation, type)
    assert issubclass(annotation, BaseModel)
    return fields(annotation)


TABLES: Mapping[str, Callable[[str], str]] = {
    "models": _families,
    "request": _requests,
    "parameters": _parameters,
    "options": _options,
    "config": _configuration,
}


def _property(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the schema of a field, without the alternative null."""
    found: Mapping[str, Any] = schema["properties"][name]
    values = [one for one in found.get("anyOf", ()) if one.get("type") != "null"]
    return values[0] if len(values) == 1 else found


def _type(found: Mapping[str, Any]) -> str:
    if "enum" in found:
        return _codes(found["enum"])
    if found.get("type") == "array":
        items = found.get("items", {})
        inner = [one for one in items.get("anyOf", [items]) if one.get("type") != "null"]
        return f"list of {_type(inner[0])}s"
    if "$ref" in found:
        return str(found["$ref"].rpartition("/")[2]).lower()
    return str(found.get("type", "object"))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value in (None, [], {}, ""):
        return ""
    if isinstance(value, float):
        return f"`{value:.15g}`"
    return f"`{value if isinstance(value, str | Path) else json.dumps(value)}`"


def _range(found: Mapping[str, Any]) -> str:
    for low, high, unit in _INTERVALS:
        if low in found and high in found:
            return f"{found[low]:.15g} to {found[high]:.15g}{unit}"
    return ", ".join(f"{sign} {found[key]:.15g}{unit}" for key, sign, unit in _BOUNDS if key in found)


def _prose(text: str) -> str:
    return _CODE.sub(r"`\1`", " ".join(text.split()))


def _codes(values: Sequence[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a table without the columns that are empty in every row."""
    used = [column for column in range(len(head)) if any(row[column] for row in rows)]
    lines = [[row[column].replace("|", "\\|") for column in used] for row in (head, *rows)]
    lines.insert(1, ["---"] * len(used))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    """Write, or with --check compare."""
    found = stale()
    if "--check" in sys.argv[1:]:
        if found:
            names = ", ".join(str(path.relative_to(ROOT)) for path in found)
            sys.exit(f"run python scripts/model_docs.py: out of date are the tables of {names}")
        return
    for path, text in found.items():
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
