"""Published weights for tests, fetched once into the checkout's own folder of weights."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from audiograph.errors import WeightsMissing
from deployments.models.base import Engine, Family
from deployments.models.loading import Loaded, load

WORK_DIR = Path(__file__).parents[2] / "state"
"""Where `make weights` puts them as well."""


def real_engine(model: Family[Engine, Any], variant: str) -> Engine:
    """Load a variant with its published weights; skip the test where they cannot be had."""
    loaded: Loaded[Engine] = _loaded(model, variant)
    return loaded.engine


@cache
def _loaded(model: Family[Any, Any], variant: str) -> Loaded[Any]:
    try:
        return load(model, variant, "cpu", "pretrained", WORK_DIR)
    except WeightsMissing as error:
        pytest.skip(error.message)
