"""Kokoro with its tiny stand-in, and with its published weights where they can be had."""

from collections.abc import Iterator

import pytest

from deployments.models.kokoro.engine import Engine
from deployments.models.kokoro.model import Kokoro, KokoroOptions
from deployments.models.loading import load
from tests.support.real_weights import real_engine

pytest.importorskip("onnxruntime")
pytest.importorskip("espeakng_loader")
pytest.importorskip("num2words")


@pytest.fixture(scope="session")
def model() -> Kokoro:
    return Kokoro(KokoroOptions())


@pytest.fixture(scope="session")
def engine(model: Kokoro, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """The tiny stand-in."""
    loaded = load(model, "82m", "cpu", "tiny", tmp_path_factory.mktemp("work"))
    assert loaded.weights == "random"
    yield loaded.engine
    model.unload(loaded.engine)


@pytest.fixture(scope="session")
def published(model: Kokoro) -> Iterator[Engine]:
    """The published weights."""
    engine = real_engine(model, "82m")
    yield engine
    model.unload(engine)
