"""Engines for tests of MusicGen, with tiny random weights."""

from collections.abc import Callable
from functools import cache

import pytest

from deployments.models.loading import load as load_variant
from deployments.models.musicgen.engine import MusicEngine
from tests.support.music import MODEL


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], MusicEngine]:
    """Load a variant by name; each is loaded once."""
    work_dir = tmp_path_factory.mktemp("work")
    return cache(lambda variant: load_variant(MODEL, variant, "cpu", "tiny", work_dir).engine)


@pytest.fixture(scope="module")
def engine(load: Callable[[str], MusicEngine]) -> MusicEngine:
    return load("small")
