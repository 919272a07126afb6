"""Reads and checks the file of a server: serve_config.yaml, and serveConfigV2 in k8s/.

It has Ray Serve's own format, but is closed: Ray ignores unknown keys, so a misspelt ``proxy_location`` would
start the server with the default location. Every error names the path, the value and the cure.
"""

import difflib
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from audiograph._patterns import IMPORT_PATH, URL_PATH, reason
from audiograph._wording import shortened, shown
from deployments.config import AppConfig, Settings

Location = Sequence[int | str]
"""The path of a value in the file."""


class ServeFileError(Exception):
    """The file is invalid; the message names the place and the cure."""


class HttpOptions(Settings):
    """Address and timeouts of the server."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    root_path: str = ""
    request_timeout_s: float | None = Field(
        None, gt=0, description="Null: uploads and event streams have no time limit."
    )
    keep_alive_timeout_s: int = Field(90, gt=0)


class LoggingOptions(Settings):
    """Logs of Ray Serve's processes."""

    encoding: Literal["TEXT", "JSON"] = "JSON"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    enable_access_log: bool = True


class Application(Settings):
    """The one application of the file."""

    name: str = Field("audiograph", min_length=1)
    route_prefix: str = Field("/", pattern=URL_PATH)
    import_path: str = Field("graphs.app:build", pattern=IMPORT_PATH)
    args: AppConfig


class ServeFile(Settings):
    """The whole file."""

    proxy_location: Literal["HeadOnly", "EveryNode", "Disabled"] = "EveryNode"
    http_options: HttpOptions = HttpOptions()
    logging_config: LoggingOptions = LoggingOptions()
    applications: list[Application] = Field(min_length=1, max_length=1)

    @property
    def application(self) -> Application:
        """The only application."""
        return self.applications[0]

    @property
    def url(self) -> str:
        """The URL of the server for a client on this machine."""
        host = self.http_options.host
        reachable = "127.0.0.1" if host in {"0.0.0.0", "::"} else host
        return f"http://{reachable}:{self.http_options.port}"

    def with_address(self, host: str | None, port: int | None) -> "ServeFile":
        """Return a copy with another address; None keeps the file's value."""
        changes = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
        return self.model_copy(update={"http_options": self.http_options.model_copy(update=changes)})

    def check_exposure(self) -> None:
        """Refuse to serve other machines without API keys.

        Raises:
            ServeFileError: the host is not a loopback address, and the application requires no API keys.
        """
        if self.application.args.auth.allows(self.http_options.host):
            return
        raise ServeFileError(
            f"http_options.host: {self.http_options.host} can be reached from other machines, and "
            "applications[0].args.auth.required is false; set it to true, or the host to 127.0.0.1"
        )


def load_file(path: Path) -> ServeFile:
    """Read and check a file.

    Raises:
        ServeFileError: it is missing, not YAML, or has an invalid key or value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ServeFileError(f"{path}: cannot be read: {error}") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> ServeFile:
    """Check the text of a file; ``source`` names it in errors.

    Raises:
        ServeFileError: as `load_file`.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ServeFileError(f"{source}: not YAML: {error}") from error
    if not isinstance(content, dict):
        raise ServeFileError(f"{source}: must be a mapping with the key applications")
    try:
        return ServeFile.model_validate(content)
    except ValidationError as error:
        mistakes = "\n".join(f"  {_describe(mistake)}" for mistake in error.errors())
        raise ServeFileError(f"{source}:\n{mistakes}") from error


def _describe(mistake: ErrorDetails) -> str:
    """Describe an error as ``path: fault; cure``."""
    path, kind = mistake["loc"], mistake["type"]
    if kind == "extra_forbidden":
        return f"{_dotted(path)}: unknown key; {_suggestion(path)}"
    if kind == "missing":
        return f"{_dotted(path)}: missing"
    fault = reason(mistake).removeprefix("Input ")
    return f"{_dotted(path)}: {shown(mistake['input'])} is refused: {fault}"


def _dotted(path: Location) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def _suggestion(path: Location) -> str:
    known = _keys_at(path[:-1])
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _keys_at(path: Location) -> list[str]:
    """List the keys of the section at ``path``."""
    section: Any = ServeFile
    for part in path:
        if isinstance(section, type) and issubclass(section, BaseModel):
            section = _fields(section)[str(part)]
        else:  # the items of a list or a mapping
            section = typing.get_args(section)[-1]
        section = _without_none(section)
    return list(_fields(section))


def _fields(section: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def _without_none(annotation: Any) -> Any:
    if isinstance(annotation, types.UnionType):
        return next(part for part in typing.get_args(annotation) if part is not types.NoneType)
    return annotation
