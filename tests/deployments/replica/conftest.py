"""Replicas of the toy models, with real storage."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployments.config import AppConfig
from deployments.replica import replica as replica_module
from deployments.replica.replica import ModelReplica
from tests.deployments.replica.toy_models import ENGINES, ToyMemory

TOYS = "tests.deployments.replica.toy_models"


@pytest.fixture(autouse=True)
def _no_engines() -> None:
    ENGINES.clear()


@pytest.fixture
def config_of(tmp_path: Path) -> Callable[..., AppConfig]:
    def config(toy: str = "Toy", **entry: Any) -> AppConfig:
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
def replica_of(
    config_of: Callable[..., AppConfig], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ModelReplica]:
    def replica(toy: str = "Toy", **entry: Any) -> ModelReplica:
        if toy != "Weighty":  # whose memory is real
            monkeypatch.setattr(replica_module, "device_memory", lambda entry: ToyMemory())
        made = ModelReplica("toy", config_of(toy, **entry))
        made._store.database.migrate()
        return made

    return replica
