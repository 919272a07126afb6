"""One tiny checkpoint for all tests, and the engine that it makes."""

import pytest
import torch

from deployments.models.base import LoadContext
from deployments.models.chatterbox.model import Chatterbox


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def model():
    return Chatterbox(Chatterbox.options_class())


@pytest.fixture(scope="session")
def engine(model, work_dir):
    return model.load("english", LoadContext("cpu", "tiny", work_dir)).engine
