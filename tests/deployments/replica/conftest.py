"""Replicas of the toy models, with real storage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.config import AppConfig
from deployments.storage.artifacts import ArtifactStore
from tests.deployments.replica.toy_models import ENGINES, ToyMemory
from tests.deployments.replica.toy_replicas import ToyReplica

TOYS = "tests.deployments.replica.toy_models"


@pytest.fixture(autouse=True)
def _no_engines() -> None:
    ENGINES.clear()


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[..., AppConfig]:
    def config(toy: str = "Toy", **entry: Any) -> AppConfig:
        return AppConfig.model_validate(
            {
                "weights": "tiny",
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
def replica_of(config_of: Callable[..., AppConfig]) -> Callable[..., ToyReplica]:
    def replica(toy: str = "Toy", **entry: Any) -> ToyReplica:
        config = config_of(toy, **entry)
        store = ArtifactStore.open(config.storage)
        store.database.migrate()
        memory = None if toy == "Weighty" else ToyMemory()  # the memory of Weighty is real
        return ToyReplica("toy", config, memory=memory, store=store)

    return replica
