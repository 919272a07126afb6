"""Replicas of the toy models, with real storage."""

import pytest
import torch

from deployments.config import AppConfig
from deployments.replica import replica as replica_module
from deployments.replica.replica import ModelReplica
from tests.deployments.replica.toy_models import ENGINES, ToyMemory

TOYS = "tests.deployments.replica.toy_models"


@pytest.fixture(autouse=True)
def _no_engines():
    ENGINES.clear()


@pytest.fixture(scope="module")
def one_thread():
    """More threads gain nothing on layers this small, and spin against each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def config_of(tmp_path):
    def config(toy="Toy", **entry):
        return AppConfig.model_validate(
            {
                "models": {"toy": {"class": f"{TOYS}:{toy}", "batch_wait_seconds": 5, **entry}},
                "storage": {
                    "database_url": f"sqlite:///{tmp_path}/state.db",
                    "artifacts_url": str(tmp_path / "artifacts"),
                },
                "work_dir": tmp_path,
            }
        )

    return config


@pytest.fixture
def replica_of(config_of, monkeypatch):
    def replica(toy="Toy", **entry):
        if toy != "Weighty":  # whose memory is real
            monkeypatch.setattr(replica_module, "device_memory", lambda entry: ToyMemory())
        made = ModelReplica("toy", config_of(toy, **entry))
        made._store.database.migrate()
        return made

    return replica
