"""The file that describes one running Audiograph: serve_config.yaml, and serveConfigV2 in k8s/.

It is Ray Serve's own format, but closed: Ray ignores a key that it does not know, so a misspelt
``proxy_location`` would start a server other than the one that was asked for. Every mistake is told with
its path, the value found and what would be right.
"""

import difflib
import ipaddress
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from deployments.config import AppConfig, Settings

Path_ = Sequence[int | str]


class ServeFileError(Exception):
    """The file cannot be used; the message says where it is wrong, and what would be right."""


class HttpOptions(Settings):
    """Where the server listens."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    root_path: str = ""
    request_timeout_s: float | None = Field(
        None, gt=0, description="Null: uploads and event streams take as long as they take."
    )
    keep_alive_timeout_s: int = Field(90, gt=0)


class LoggingOptions(Settings):
    """How Ray Serve's processes write their logs."""

    encoding: Literal["TEXT", "JSON"] = "JSON"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    enable_access_log: bool = True


class Application(Settings):
    """The one application of the file."""

    name: str = Field("audiograph", min_length=1)
    route_prefix: str = Field("/", pattern=r"^/")
    import_path: str = Field("graphs.app:build", pattern=r"^[\w.]+:\w+$")
    args: AppConfig


class ServeFile(Settings):
    """All that is needed to start a server."""

    proxy_location: Literal["HeadOnly", "EveryNode", "Disabled"] = "EveryNode"
    http_options: HttpOptions = HttpOptions()
    logging_config: LoggingOptions = LoggingOptions()
    applications: list[Application] = Field(min_length=1, max_length=1)

    @property
    def application(self) -> Application:
        """The application."""
        return self.applications[0]

    @property
    def url(self) -> str:
        """Where a client on this machine reaches the server."""
        host = self.http_options.host
        reachable = "127.0.0.1" if host in {"0.0.0.0", "::"} else host
        return f"http://{reachable}:{self.http_options.port}"

    def with_address(self, host: str | None, port: int | None) -> "ServeFile":
        """A copy that listens elsewhere; None keeps what the file says."""
        changes = {key: value for key, value in (("host", host), ("port", port)) if value is not None}
        return self.model_copy(update={"http_options": self.http_options.model_copy(update=changes)})

    def check_exposure(self) -> None:
        """Refuse to serve strangers.

        Raises:
            ServeFileError: it listens beyond this machine and does not ask for API keys.
        """
        if is_loopback(self.http_options.host) or self.application.args.auth.required:
            return
        raise ServeFileError(
            f"http_options.host: {self.http_options.host} can be reached from other machines, and "
            "applications[0].args.auth.required is false; set it to true, or the host to 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server bound to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read(path: Path) -> ServeFile:
    """Read and check a file.

    Raises:
        ServeFileError: it is missing, not YAML, or says something that cannot be meant.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ServeFileError(f"{path}: cannot be read: {error}") from error
    return parse(text, str(path))


def parse(text: str, source: str) -> ServeFile:
    """Check the text of a file; ``source`` names it in errors.

    Raises:
        ServeFileError: as `read`.
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
    """One mistake as ``path: what is wrong; what would be right``."""
    path, kind = mistake["loc"], mistake["type"]
    if kind == "extra_forbidden":
        return f"{_dotted(path)}: unknown key; {_suggestion(path)}"
    if kind == "missing":
        return f"{_dotted(path)}: missing"
    reason = mistake["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{_dotted(path)}: {mistake['input']!r} is refused: {reason}"


def _dotted(path: Path_) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def _suggestion(path: Path_) -> str:
    known = _keys_at(path[:-1])
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    return f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"


def _keys_at(path: Path_) -> list[str]:
    """The keys that the section at ``path`` may hold."""
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
