"""A tiny checkpoint and its engine, shared by all tests."""

from pathlib import Path

import pytest
import torch

from deployments.models.chatterbox.engine import ChatterboxEngine
from deployments.models.chatterbox.model import Chatterbox
from deployments.models.loading import load


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def model() -> Chatterbox:
    return Chatterbox(Chatterbox.options_class())


@pytest.fixture(scope="session")
def engine(model: Chatterbox, work_dir: Path) -> ChatterboxEngine:
    return load(model, "english", "cpu", "tiny", work_dir).engine
