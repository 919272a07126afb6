"""The typed configuration of one Audiograph application: the ``args`` of serve_config.yaml.

Every key has a default that suits the embedded form (CPU, SQLite, a local folder). An unknown key or a
value out of range is refused with its path, by ``graphs.app`` before anything starts.
"""

import os
import re
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from audiograph.schemas import TaskName

WeightsPolicy = Literal["pretrained", "auto", "tiny"]

GIB = 1024**3
MIB = 1024**2
DAY = 86_400.0


class Settings(BaseModel):
    """A section of the configuration: closed to unknown keys, frozen once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _from_environment(text: str) -> str:
    """Put the environment's value in place of every ``${NAME}``, so that secrets stay out of the file."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise ValueError(f"the environment variable {name} is not set")
        return os.environ[name]

    return re.sub(r"\$\{(\w+)\}", value, text)


class LimitsConfig(Settings):
    """What an upload may be. Held while decoding, so a header that lies gains nothing."""

    max_upload_bytes: int = Field(1 * GIB, gt=0)
    max_audio_seconds: float = Field(4 * 3600, gt=0)
    max_decoded_bytes: int = Field(8 * GIB, gt=0, description="Samples x channels x 4 bytes, as decoded.")
    max_channels: int = Field(32, gt=0)


class StorageConfig(Settings):
    """Where artifacts and their metadata live, and for how long."""

    database_url: str = Field(
        "sqlite:///state/audiograph.db",
        description="SQLAlchemy URL: sqlite:///… or postgresql://…; ${NAME} is taken from the environment.",
    )
    artifacts_url: str = Field(
        "state/artifacts", description="A folder or any fsspec URL, such as s3://bucket/x"
    )
    retention_seconds: float | None = Field(
        30 * DAY, gt=0, description="Unused files and artifacts older than this are removed; null keeps them."
    )
    max_bytes: int | None = Field(
        None, gt=0, description="Budget of stored bytes; the least recently used go first."
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
        """A copy whose SQLite file and artifacts folder are absolute, relative ones being under ``root``."""
        database_url, artifacts_url = self.database_url, self.artifacts_url
        if database_url.startswith("sqlite:///"):
            database_url = f"sqlite:///{root / database_url.removeprefix('sqlite:///')}"
        if "://" not in artifacts_url:
            artifacts_url = str(root / artifacts_url)
        return self.model_copy(update={"database_url": database_url, "artifacts_url": artifacts_url})


class VoicesConfig(Settings):
    """Recorded voices, for the models that clone them."""

    folder: Path | None = Field(
        None, description="A folder whose recordings are voices; what is said in a.wav stands in a.txt."
    )
    min_seconds: float = Field(1.0, gt=0, description="Without silent ends.")
    max_seconds: float = Field(60.0, gt=0)

    def resolved(self, root: Path) -> "VoicesConfig":
        """A copy whose folder is absolute, a relative one being under ``root``."""
        return self.model_copy(update={"folder": self.folder and root / self.folder})


class ExportsConfig(Settings):
    """Files that callers want on the server's own machine."""

    folder: Path = Field(Path("state/exports"), description="They may name paths below it, and no others.")

    def resolved(self, root: Path) -> "ExportsConfig":
        """A copy whose folder is absolute, a relative one being under ``root``."""
        return self.model_copy(update={"folder": root / self.folder})


class JobsConfig(Settings):
    """The durable queue and its runners."""

    runners: int = Field(
        1, ge=1, le=64, description="Runner replicas; on more than one machine they need PostgreSQL."
    )
    concurrency: int = Field(64, ge=1, le=1024, description="Jobs in flight on one runner.")
    concurrency_per_model: int = Field(
        16,
        ge=1,
        le=1024,
        description="Of these, jobs of one model: a busy model does not hold up the others.",
    )
    max_queued: int = Field(1000, ge=1, description="Beyond this, submitting answers 429 with Retry-After.")
    time_limit_seconds: float = Field(
        3600, gt=0, description="From pick-up to the end of one run, unless less is asked."
    )
    step_attempts: int = Field(4, ge=1, le=20, description="Tries of one model call over dead replicas.")
    heartbeat_seconds: float = Field(1.0, gt=0)
    dead_after_seconds: float = Field(
        10.0, gt=0, description="A silent runner's jobs go to the others after this."
    )
    retention_seconds: float | None = Field(
        30 * DAY, gt=0, description="Finished jobs older than this are removed."
    )


class AuthConfig(Settings):
    """API keys, made with ``audiograph keys create``. Binding anything but loopback requires them."""

    required: bool = False


class HttpConfig(Settings):
    """The ingress beyond Ray Serve's own http_options."""

    cors_origins: list[str] = Field(default_factory=lambda: ["*"])
    public_url: str | None = Field(
        None, description="Base of the URLs in answers; the request's own if null."
    )
    max_wait_seconds: float = Field(
        60, ge=0, description="The longest that Prefer: wait=n may hold a request."
    )
    max_direct: int = Field(
        32,
        ge=1,
        le=1000,
        description="Answers made without a job at a time; beyond it, 429.",
    )
    max_direct_seconds: float = Field(
        540, gt=0, description="That one may take: less than the 600 s after which OpenAI's clients give up."
    )


OPENAI_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
OPENAI_VOICES = (
    *("alloy", "ash", "ballad", "coral", "echo", "fable", "nova", "onyx", "sage", "shimmer", "verse"),
    *("marin", "cedar"),
)


class OpenAIConfig(Settings):
    """Names by which OpenAI's clients ask for what is here: they then need another base URL, and no more."""

    models: dict[str, str | None] = Field(
        default_factory=lambda: dict.fromkeys(OPENAI_MODELS),
        description="Their models, also with a date behind the name, and ours; the task's default if null.",
    )
    voices: dict[str, str | None] = Field(
        default_factory=lambda: dict.fromkeys(OPENAI_VOICES),
        description="Their voices, and ours; a model's default if null or not among its own.",
    )


class ModelConfig(Settings):
    """One model's entry: which class, how much of a machine it takes, and its own options."""

    model_class: str = Field(
        alias="class", pattern=r"^[\w.]+:\w+$", examples=["deployments.models.whisper:Whisper"]
    )
    environment: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]*$",
        description="The Python environment of its replicas, made by `make envs` from the lock of that name "
        "in requirements/environments; the server's own if null.",
    )
    default_variant: str | None = Field(None, description="The class's own default if null.")
    weights: WeightsPolicy | None = Field(None, description="The application's policy if null.")
    preload: list[str] = Field(
        default_factory=list, description="Variants that a new replica loads at start."
    )
    idle_seconds: float = Field(900, gt=0, description="A variant unused for this long is unloaded.")
    memory_bytes: int | None = Field(
        None, gt=0, description="Budget of loaded variants; the GPU fraction if null."
    )
    max_batch_size: int = Field(
        8, ge=1, le=1024, description="Requests that run together, where the model batches."
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
        """Ray's runtime environment of its replicas, as the entry gives it."""
        return (self.deployment.get("ray_actor_options") or {}).get("runtime_env") or {}

    @model_validator(mode="after")
    def _has_one_python(self) -> "ModelConfig":
        if self.environment and "py_executable" in self.runtime_env:
            raise ValueError("environment and runtime_env.py_executable both name a Python; leave one out")
        return self


class AppConfig(Settings):
    """The whole application."""

    weights: WeightsPolicy = Field(
        "pretrained",
        description="pretrained: missing weights are an error. auto: tiny random ones where no hub can be "
        "reached, said everywhere. tiny: always those.",
    )
    models: dict[str, ModelConfig] = Field(
        description="By name; the first that serves a task is its default."
    )
    defaults: dict[TaskName, str] = Field(default_factory=dict, description="Model by task, over that order.")
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
    work_dir: Path = Field(
        Path("state"), description="Tiny checkpoints and other files that can be made again."
    )

    @model_validator(mode="after")
    def _aliased_models_exist(self) -> Self:
        for name, model in self.openai.models.items():
            if model is not None and model not in self.models:
                raise ValueError(f"openai.models.{name}: no model {model!r} is configured")
        return self

    def resolved(self, root: Path) -> "AppConfig":
        """A copy with absolute paths, relative ones being under ``root``: workers start in other folders."""
        base = root.absolute()
        return self.model_copy(
            update={
                "storage": self.storage.resolved(base),
                "voices": self.voices.resolved(base),
                "exports": self.exports.resolved(base),
                "work_dir": base / self.work_dir,
            }
        )
