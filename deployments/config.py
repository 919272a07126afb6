"""The typed configuration of an Audiograph application: the ``args`` of serve_config.yaml.

Every key has a default that suits the embedded form (CPU, SQLite, a local folder). ``graphs.app`` refuses an
unknown key or a value out of range, with its path, before any process starts.
"""

import ipaddress
import os
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from audiograph._patterns import ENVIRONMENT, IMPORT_PATH
from audiograph._wording import shown
from audiograph.schemas import TaskName

WeightsPolicy = Literal["pretrained", "auto", "tiny"]

GIB = 1024**3
MIB = 1024**2
DAY = 86_400.0


class Settings(BaseModel):
    """A section of the configuration: it refuses unknown keys, and is frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to a server bound to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _from_environment(text: str) -> str:
    """Expand every ``${NAME}`` from the environment, so that secrets stay out of the file."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, text)


_URL = re.compile(r"([A-Za-z][\w+.-]*)://(\[[0-9A-Fa-f:.]+\]|[^\s/?#:@*\[\]]+)(?::(\d{1,5}))?(?=[/?#]|$)")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_NAME = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*", re.ASCII)


def origin_of(url: str) -> str | None:
    """Return a URL's origin as browsers write it, such as ``https://app.example``; None if it has none."""
    found = _URL.match(url)
    if not found:
        return None
    scheme, host, port = found[1].lower(), found[2].lower(), found[3]
    written = f":{port}" if port and port != _DEFAULT_PORTS.get(scheme) else ""
    return f"{scheme}://{host}{written}"


def _checked_origin(text: str) -> str:
    if text in ("*", "null"):  # browsers send null for pages without an origin, such as local files
        return text
    origin = origin_of(text)
    if origin is None or not _URL.fullmatch(text.rstrip("/")):
        raise ValueError(
            f"{shown(text)} is no origin: write scheme and host, such as https://app.example, or *"
        )
    return origin


def _checked_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            f"{shown(text)} is no host name: write audio.example, *.audio.example or *, without a port"
        )
    return text.lower()


class LimitsConfig(Settings):
    """Limits of an upload. They are enforced while decoding, whatever its header claims."""

    max_upload_bytes: int = Field(1 * GIB, gt=0)
    max_audio_seconds: float = Field(4 * 3600, gt=0)
    max_decoded_bytes: int = Field(8 * GIB, gt=0, description="Decoded size: samples x channels x 4 bytes.")
    max_channels: int = Field(32, gt=0)


class StorageConfig(Settings):
    """Storage of artifacts and their metadata, and their retention."""

    database_url: str = Field(
        "sqlite:///state/audiograph.db",
        description="SQLAlchemy URL: sqlite:///… or postgresql://…; ${NAME} is taken from the environment.",
    )
    artifacts_url: str = Field(
        "state/artifacts", description="A folder or any fsspec URL, such as s3://bucket/x"
    )
    retention_seconds: float | None = Field(
        30 * DAY, gt=0, description="Unused files and artifacts are deleted after this time; null keeps them."
    )
    max_bytes: int | None = Field(
        None, gt=0, description="Budget of stored bytes; the least recently used are deleted first."
    )
    collect_every_seconds: float = Field(600, gt=0)

    @field_validator("database_url", "artifacts_url", mode="before")
    @classmethod
    def _expanded(cls, url: Any) -> Any:
        return _from_environment(url) if isinstance(url, str) else url

    @field_validator("database_url")
    @classmethod
    def _supported(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        if url in ("sqlite:///", "sqlite:///:memory:"):
            raise ValueError("an SQLite database must be a file: several processes share it")
        return url

    def resolved(self, root: Path) -> "StorageConfig":
        """Return a copy whose SQLite file and artifacts folder are absolute, based on ``root``."""
        database_url, artifacts_url = self.database_url, self.artifacts_url
        if database_url.startswith("sqlite:///"):
            database_url = f"sqlite:///{root / database_url.removeprefix('sqlite:///')}"
        if "://" not in artifacts_url:
            artifacts_url = str(root / artifacts_url)
        return self.model_copy(update={"database_url": database_url, "artifacts_url": artifacts_url})


class VoicesConfig(Settings):
    """Recorded voices, for models that clone voices."""

    folder: Path | None = Field(
        None, description="A folder of recorded voices; a.txt is the transcript of a.wav."
    )
    min_seconds: float = Field(1.0, gt=0, description="Minimum duration, without silence at the ends.")
    max_seconds: float = Field(60.0, gt=0)

    def resolved(self, root: Path) -> "VoicesConfig":
        """Return a copy whose folder is absolute, based on ``root``."""
        return self.model_copy(update={"folder": self.folder and root / self.folder})


class ExportsConfig(Settings):
    """Files that callers have written on the server's machine."""

    folder: Path = Field(Path("state/exports"), description="Callers may only name paths below it.")

    def resolved(self, root: Path) -> "ExportsConfig":
        """Return a copy whose folder is absolute, based on ``root``."""
        return self.model_copy(update={"folder": root / self.folder})


class JobsConfig(Settings):
    """The durable queue and its runners."""

    runners: int = Field(
        1, ge=1, le=64, description="Runner replicas; runners on several machines need PostgreSQL."
    )
    concurrency: int = Field(64, ge=1, le=1024, description="Jobs in flight on one runner.")
    concurrency_per_model: int = Field(
        16,
        ge=1,
        le=1024,
        description="Jobs in flight of one model, so that a busy model does not hold up the others.",
    )
    max_queued: int = Field(
        1000,
        ge=1,
        description="Limit of queued jobs; beyond it, a submission is refused with 429 and Retry-After.",
    )
    time_limit_seconds: float = Field(3600, gt=0, description="Longest run of a job; a request may set less.")
    step_attempts: int = Field(4, ge=1, le=20, description="Tries of one model call whose replicas die.")
    heartbeat_seconds: float = Field(1.0, gt=0)
    dead_after_seconds: float = Field(
        10.0,
        gt=0,
        description="A runner without a heartbeat for this long is dead, and its jobs are requeued.",
    )
    retention_seconds: float | None = Field(
        30 * DAY, gt=0, description="Finished jobs are deleted after this time; null keeps them."
    )


class AuthConfig(Settings):
    """API keys, created with ``audiograph keys create``; required to bind any address but loopback."""

    required: bool = False

    def allows(self, host: str) -> bool:
        """Return whether a server may bind a host: other machines must need keys."""
        return self.required or is_loopback(host)


class HttpConfig(Settings):
    """Settings of the ingress, beside Ray Serve's http_options."""

    cors_origins: list[str] | None = Field(
        None,
        description="Origins whose pages may use the server, such as https://app.example; * is every origin. "
        "If null: every origin where API keys are required, and else those of this machine, which are "
        "always allowed there.",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list,
        description="Names of the server, beside localhost, IP addresses and the name in public_url; "
        "*.audio.example is every name below, * every name. Not checked where API keys are required.",
    )
    public_url: str | None = Field(
        None, description="Base of the URLs in responses; the request's own if null."
    )
    max_wait_seconds: float = Field(60, ge=0, description="Upper limit of n in Prefer: wait=n.")
    max_direct: int = Field(
        32,
        ge=1,
        le=1000,
        description="Limit of concurrent direct responses; beyond it, 429.",
    )
    max_direct_seconds: float = Field(
        540, gt=0, description="Time limit of a direct response; OpenAI's clients give up after 600 s."
    )

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: list[str] | None) -> list[str] | None:
        return origins and [_checked_origin(origin) for origin in origins]

    @field_validator("allowed_hosts")
    @classmethod
    def _are_names(cls, names: list[str]) -> list[str]:
        return [_checked_name(name) for name in names]


OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
OPENAI_VOICES: dict[str, str | None] = {
    "alloy": "af_alloy",
    "ash": "am_adam",
    "ballad": "bm_george",
    "coral": "af_sarah",
    "echo": "am_echo",
    "fable": "bm_fable",
    "nova": "af_nova",
    "onyx": "am_onyx",
    "sage": "af_kore",
    "shimmer": "af_bella",
    "verse": "am_michael",
    "marin": "af_heart",
    "cedar": "am_fenrir",
}
"""Voices of Kokoro; other models speak with their default voice instead."""


class OpenAIConfig(Settings):
    """OpenAI's names of models and voices, so that its clients only need another base URL."""

    models: dict[str, str | None] = Field(
        default_factory=lambda: dict.fromkeys(OPENAI_MODELS),
        description="Model by OpenAI's name, with or without its date; null is the task's default.",
    )
    voices: dict[str, str | None] = Field(
        default_factory=lambda: dict(OPENAI_VOICES),
        description="Voice by OpenAI's name, at first one of kokoro's; null, or a voice that the model "
        "lacks, is its default.",
    )


class ModelConfig(Settings):
    """A model's entry: its class, its share of a machine, and its own options."""

    model_class: str = Field(
        alias="class", pattern=IMPORT_PATH, examples=["deployments.models.whisper:Whisper"]
    )
    environment: str | None = Field(
        None,
        pattern=ENVIRONMENT,
        description="Python environment of its replicas, built by `make envs` from the lock of that name in "
        "requirements/environments; the server's own if null.",
    )
    default_variant: str | None = Field(None, description="The class's own default if null.")
    weights: WeightsPolicy | None = Field(None, description="The application's policy if null.")
    preload: list[str] = Field(
        default_factory=list, description="Variants that a new replica loads at start."
    )
    idle_seconds: float = Field(900, gt=0, description="An unused variant is unloaded after this time.")
    memory_bytes: int | None = Field(
        None, gt=0, description="Memory budget of loaded variants; the GPU fraction if null."
    )
    max_batch_size: int = Field(
        8, ge=1, le=1024, description="Maximum size of a batch, for models that batch."
    )
    batch_wait_seconds: float = Field(0.02, ge=0, le=10)
    deployment: dict[str, Any] = Field(
        default_factory=dict,
        description="Ray Serve's deployment options: ray_actor_options, autoscaling_config, …",
    )
    options: dict[str, Any] = Field(
        default_factory=dict, description="The model's own options, checked by its class."
    )

    @property
    def runtime_env(self) -> dict[str, Any]:
        """Return Ray's runtime environment from the entry."""
        return (self.deployment.get("ray_actor_options") or {}).get("runtime_env") or {}

    @model_validator(mode="after")
    def _has_one_python(self) -> "ModelConfig":
        if self.environment and "py_executable" in self.runtime_env:
            raise ValueError(
                "environment and runtime_env.py_executable both name a Python; remove one of them"
            )
        return self


class AppConfig(Settings):
    """The whole application."""

    weights: WeightsPolicy = Field(
        "pretrained",
        description="pretrained: missing weights are an error. auto: tiny random weights where no hub can be "
        "reached; responses and logs say so. tiny: always tiny random weights.",
    )
    models: dict[str, ModelConfig] = Field(
        description="Models by name; the first that serves a task is the task's default."
    )
    defaults: dict[TaskName, str] = Field(
        default_factory=dict, description="Default model by task; it overrides the order of `models`."
    )
    storage: StorageConfig = StorageConfig()
    voices: VoicesConfig = VoicesConfig()
    exports: ExportsConfig = ExportsConfig()
    limits: LimitsConfig = LimitsConfig()
    jobs: JobsConfig = JobsConfig()
    auth: AuthConfig = AuthConfig()
    http: HttpConfig = HttpConfig()
    openai: OpenAIConfig = OpenAIConfig()
    ingress: dict[str, Any] = Field(default_factory=dict, description="Ray Serve's options of the ingress.")
    runner: dict[str, Any] = Field(default_factory=dict, description="Ray Serve's options of the runner.")
    work_dir: Path = Field(Path("state"), description="Tiny checkpoints and other files that can be rebuilt.")

    @model_validator(mode="after")
    def _aliased_models_exist(self) -> Self:
        for name, model in self.openai.models.items():
            if model is not None and model not in self.models:
                raise ValueError(f"openai.models.{name}: no model {shown(model)} is configured")
        return self

    def resolved(self, root: Path) -> "AppConfig":
        """Return a copy with absolute paths, based on ``root``: workers start in other folders."""
        base = root.absolute()
        return self.model_copy(
            update={
                "storage": self.storage.resolved(base),
                "voices": self.voices.resolved(base),
                "exports": self.exports.resolved(base),
                "work_dir": base / self.work_dir,
            }
        )
