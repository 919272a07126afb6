"""A store on every kind of database and of content, and what its content holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audiograph.schemas import Artifact
from deployments.config import StorageConfig
from deployments.storage.artifacts import ArtifactStore, Provenance
from deployments.storage.database import Database
from tests.conftest import Migrate, migrated_sqlite, preload

preload("tests.deployments.storage.churn")  # and all that the processes of these tests run

ROOT = Path(__file__).parents[3]

Put = Callable[..., Artifact]


@pytest.fixture(params=["local", "remote"])
def artifacts_url(request: pytest.FixtureRequest, scratch: Path, tmp_path: Path) -> str:
    """A local folder, or one that fsspec hides behind the interface of an object store."""
    return _artifacts_url(request.param, tmp_path)


def _artifacts_url(kind: str, tmp_path: Path) -> str:
    folder = tmp_path / "artifacts"
    return str(folder) if kind == "local" else f"dir::file://{folder}"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, for this process and those that it starts."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}/clients:{ROOT}")
    return folder


@pytest.fixture(params=["sqlite and a folder", "postgresql and an object store"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> StorageConfig:
    """Each kind of database, migrated, and each kind of content; they know nothing of each other."""
    if request.param == "sqlite and a folder":
        database_url, content = migrated_sqlite(tmp_path / "state" / "audiograph.db", migrate), "local"
    else:
        made: Callable[[Migrate], str] = request.getfixturevalue("migrated_postgres")
        database_url, content = made(migrate), "remote"
    request.getfixturevalue("scratch")  # not before: a PostgreSQL that starts now outlives this test's folder
    return StorageConfig(database_url=database_url, artifacts_url=_artifacts_url(content, tmp_path))


def migrate(url: str) -> None:
    """Make Audiograph's own tables."""
    database = Database(url)
    database.migrate()
    database.close()


@pytest.fixture
def store(config: StorageConfig) -> ArtifactStore:
    return ArtifactStore.open(config)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> ArtifactStore:
    """For what does not depend on the kind of database or content."""
    database_url = migrated_sqlite(tmp_path / "audiograph.db", migrate)
    return ArtifactStore.open(
        StorageConfig(database_url=database_url, artifacts_url=str(tmp_path / "artifacts"))
    )


@pytest.fixture
def memory_store(tmp_path: Path) -> ArtifactStore:
    """Content in fsspec's memory: an object store without folders."""
    database_url = migrated_sqlite(tmp_path / "audiograph.db", migrate)
    return ArtifactStore.open(
        StorageConfig(database_url=database_url, artifacts_url=f"memory://bucket/{tmp_path.name}")
    )


@pytest.fixture
def put(store: ArtifactStore) -> Put:
    """Stores an artifact of some bytes; keywords are its provenance."""

    def put(content: bytes, name: str = "x.txt", **provenance: Any) -> Artifact:
        return store.put_artifact(name, content, "text/plain", provenance=Provenance(**provenance))

    return put


@pytest.fixture
def files_on_disk(tmp_path: Path) -> Callable[[], list[Path]]:
    """All content and temporary files, wherever the store keeps them."""

    def files() -> list[Path]:
        folders = (tmp_path / "artifacts", tmp_path / "scratch")
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    return files
