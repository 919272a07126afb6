"""Stores on every kind of database and of content, and their files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audiograph.schemas import Artifact
from deployments.config import StorageConfig
from deployments.storage.artifacts import ArtifactStore, Provenance
from tests.conftest import Migrate, migrated_sqlite, preload
from tests.support import churn

preload(churn.__name__)  # imports everything that the processes of these tests run

ROOT = Path(__file__).parents[3]

Put = Callable[..., Artifact]


@pytest.fixture(params=["local", "remote"])
def artifacts_url(request: pytest.FixtureRequest, scratch: Path, tmp_path: Path) -> str:
    """A local folder, or a folder behind fsspec's interface of an object store."""
    return _artifacts_url(request.param, tmp_path)


def _artifacts_url(kind: str, tmp_path: Path) -> str:
    folder = tmp_path / "artifacts"
    return str(folder) if kind == "local" else f"dir::file://{folder}"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of the temporary files of this process and of its children."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}/clients:{ROOT}")
    return folder


@pytest.fixture(params=["sqlite and a folder", "postgresql and an object store"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> StorageConfig:
    """Each kind of database, migrated, with one kind of content each: the two are independent."""
    if request.param == "sqlite and a folder":
        database_url, content = migrated_sqlite(tmp_path / "state" / "audiograph.db", churn.migrate), "local"
    else:
        migrated_postgres: Callable[[Migrate], str] = request.getfixturevalue("migrated_postgres")
        database_url, content = migrated_postgres(churn.migrate), "remote"
    request.getfixturevalue("scratch")  # not earlier: a PostgreSQL that starts here outlives this folder
    return StorageConfig(database_url=database_url, artifacts_url=_artifacts_url(content, tmp_path))


@pytest.fixture
def store(config: StorageConfig) -> ArtifactStore:
    return ArtifactStore.open(config)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> ArtifactStore:
    """A store on SQLite and a folder, for tests that are independent of the kinds."""
    database_url = migrated_sqlite(tmp_path / "audiograph.db", churn.migrate)
    return ArtifactStore.open(
        StorageConfig(database_url=database_url, artifacts_url=str(tmp_path / "artifacts"))
    )


@pytest.fixture
def memory_store(tmp_path: Path) -> ArtifactStore:
    """A store with its content in fsspec's memory, an object store without folders."""
    database_url = migrated_sqlite(tmp_path / "audiograph.db", churn.migrate)
    return ArtifactStore.open(
        StorageConfig(database_url=database_url, artifacts_url=f"memory://bucket/{tmp_path.name}")
    )


@pytest.fixture
def put(store: ArtifactStore) -> Put:
    """A function that stores bytes as an artifact; its keywords are the provenance."""

    def put(content: bytes, name: str = "x.txt", **provenance: Any) -> Artifact:
        return store.put_artifact(name, content, "text/plain", provenance=Provenance(**provenance))

    return put


@pytest.fixture
def files_on_disk(tmp_path: Path) -> Callable[[], list[Path]]:
    """A function that lists all content and temporary files of the store."""

    def files() -> list[Path]:
        folders = (tmp_path / "artifacts", tmp_path / "scratch")
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    return files
