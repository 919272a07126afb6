"""Loads a variant of a model with the weights that a policy allows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from audiograph.schemas import Weights
from deployments.config import WeightsPolicy
from deployments.models.base import Engine, Family, LoadContext
from deployments.models.weights.supply import Supply, supply


@dataclass(slots=True)
class Loaded(Generic[Engine]):
    """A loaded variant, and the weights that it was loaded with."""

    engine: Engine
    supply: Supply

    @property
    def weights(self) -> Weights:
        """The kind of its weights."""
        return self.supply.kind


def load(
    model: Family[Engine, Any], variant: str, device: str, policy: WeightsPolicy, work_dir: Path
) -> Loaded[Engine]:
    """Obtain the weights of a variant and load it, in one call and without a replica.

    Raises:
        WeightsMissing: the policy is ``pretrained``, and the weights can neither be found nor fetched.
    """
    supplied = supply(model.published(variant), policy, work_dir, lambda done, total: None)
    return load_supplied(model, variant, device, supplied, work_dir)


def load_supplied(
    model: Family[Engine, Any], variant: str, device: str, supplied: Supply, work_dir: Path
) -> Loaded[Engine]:
    """Load a variant with weights that were obtained before."""
    engine = model.load(variant, LoadContext(device, work_dir, supplied.paths))
    return Loaded(engine, supplied)
