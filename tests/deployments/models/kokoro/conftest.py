"""Kokoro with its tiny stand-in, and with its published weights where they can be had."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from audiograph.errors import WeightsMissing
from deployments.models.base import LoadContext
from deployments.models.kokoro.engine import Engine
from deployments.models.kokoro.model import Kokoro, KokoroOptions

STATE = Path(__file__).resolve().parents[4] / "state"
"""The folder of downloads of a server that runs in this checkout."""

pytest.importorskip("onnxruntime")
pytest.importorskip("espeakng_loader")
pytest.importorskip("num2words")


@pytest.fixture(scope="session")
def model() -> Kokoro:
    return Kokoro(KokoroOptions())


@pytest.fixture(scope="session")
def engine(model: Kokoro, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The tiny stand-in."""
    loaded = model.load("82m", LoadContext("cpu", "tiny", tmp_path_factory.mktemp("work")))
    assert loaded.weights == "random"
    yield loaded.engine
    model.unload(loaded.engine)


@pytest.fixture(scope="session")
def published(model: Kokoro) -> Iterator[Engine]:
    """The published weights."""
    try:
        loaded = model.load("82m", LoadContext("cpu", "pretrained", STATE))
    except WeightsMissing as error:
        pytest.skip(f"the published weights cannot be had: {error}")
    yield loaded.engine
    model.unload(loaded.engine)
