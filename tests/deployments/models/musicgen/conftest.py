"""Engines for tests of MusicGen, with tiny random weights."""

from collections.abc import Callable
from functools import cache

import pytest

from deployments.models.base import LoadContext
from deployments.models.musicgen.engine import MusicEngine
from tests.support.music import MODEL


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], MusicEngine]:
    """Load a variant by name; each is loaded once."""
    context = LoadContext(device="cpu", policy="tiny", work_dir=tmp_path_factory.mktemp("work"))
    return cache(lambda variant: MODEL.load(variant, context).engine)


@pytest.fixture(scope="module")
def engine(load: Callable[[str], MusicEngine]) -> MusicEngine:
    return load("small")
