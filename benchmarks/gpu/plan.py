"""The measurements of a run on a GPU, by worth: without time for all, the last ones are left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from deployments.config import AppConfig, ModelConfig
from deployments.models.registry import configured_model

ROOT = Path(__file__).resolve().parents[2]
FAMILY = "family."
"""Beginning of the names of measurements of one configured model."""


class UnknownMeasurement(Exception):
    """A name is not that of a measurement."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A function that yields results, and the time to keep for it."""

    name: str
    function: str
    """Module and name, such as ``benchmarks.gpu.music:check_graphs``; imported when it is called."""
    expected_seconds: float
    """On an H100; it is stopped after `LIMIT` times as long."""
    argument: str | None = None
    """Second argument of the function, after the setting."""


FIXED = (
    Measurement("cuda_graphs", "benchmarks.gpu.music:check_graphs", 45),
    Measurement("musicgen", "benchmarks.gpu.music:measure", 90),
    Measurement("whisper", "benchmarks.gpu.speech:measure", 75),
    Measurement("demucs", "benchmarks.gpu.separation:measure", 40),
    Measurement("memory_limits", "benchmarks.gpu.memory:check_limits", 15),
    Measurement("memory_halving", "benchmarks.gpu.memory:check_halving", 40),
)
FAMILY_SECONDS = 10
LIMIT = 3


def configuration() -> AppConfig:
    """Read the models of the default configuration."""
    document = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    return AppConfig.model_validate(document["applications"][0]["args"])


def plan(only: Sequence[str] = ()) -> list[Measurement]:
    """Return the measurements in order: the fixed ones, then one for each configured family with weights.

    Families with a Python environment of their own are left out.

    Args:
        only: names of measurements to take; empty for all.

    Raises:
        UnknownMeasurement: a name is not that of a measurement.
    """
    families = [
        Measurement(f"{FAMILY}{name}", "benchmarks.gpu.families:check_family", FAMILY_SECONDS, name)
        for name, entry in configuration().models.items()
        if not entry.environment and _may_have_weights(name, entry)
    ]
    measurements = [*FIXED, *families]
    names = [measurement.name for measurement in measurements]
    if unknown := [name for name in only if name not in names]:
        raise UnknownMeasurement(
            f"no measurement is called {', '.join(unknown)}; there are {', '.join(names)}"
        )
    return [measurement for measurement in measurements if not only or measurement.name in only]


def _may_have_weights(name: str, entry: ModelConfig) -> bool:
    """Return whether a model has weights; one that cannot be imported here is not left out unsaid."""
    try:
        model = configured_model(name, entry)
    except ValueError:
        return True
    return bool(model.published(entry.default_variant or model.default_variant))
