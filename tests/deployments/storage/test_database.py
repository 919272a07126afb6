"""The database: migrations, locks, and the desired state that replicas follow."""

import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import ValidationError
from sqlalchemy import inspect, select, text
from sqlalchemy.exc import IntegrityError

from deployments.config import AppConfig, ExportsConfig, StorageConfig
from deployments.storage.database import Database
from deployments.storage.desired import DesiredVariants
from deployments.storage.tables import Base, DesiredVariant, Runner, Tag
from tests.support import churn

ROOT = Path(__file__).parents[3]


@pytest.fixture
def database(database_url: str) -> Database:
    database = Database(database_url)
    database.migrate()
    return database


def differences(database: Database) -> list[object]:
    def ours(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or name in Base.metadata.tables

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def test_the_migrated_schema_is_that_of_the_tables(database: Database) -> None:
    assert differences(database) == []


def test_a_table_that_lacks_something_would_be_noticed(database: Database) -> None:
    with database.session() as session:
        session.execute(text("DROP INDEX items_newest"))
    assert len(differences(database)) == 1


def test_migrating_again_changes_nothing_and_leaves_other_tables_alone(database: Database) -> None:
    with database.session() as session:
        session.execute(text("CREATE TABLE workflow_status (workflow_uuid TEXT PRIMARY KEY)"))
        session.execute(text("INSERT INTO workflow_status VALUES ('mine')"))
        session.add(Runner(executor_id="r", started_at=1.0, heartbeat_at=2.0))
    database.migrate()
    with database.snapshot() as session:
        assert session.execute(text("SELECT workflow_uuid FROM workflow_status")).all() == [("mine",)]
        assert session.get(Runner, "r") is not None
    assert differences(database) == []


def test_processes_may_migrate_at_once(database_url: str, forked: ForkServerContext) -> None:
    processes = [forked.Process(target=churn.migrate, args=(database_url,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert set(Base.metadata.tables) <= set(inspect(Database(database_url).engine).get_table_names())


def test_threads_may_migrate_at_once(database_url: str) -> None:
    databases = [Database(database_url) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Database.migrate, databases))
    assert differences(databases[0]) == []


def test_revisions_can_be_made_and_undone_from_the_command_line(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/x.db")
    database.migrate()
    alembic = [sys.executable, "-m", "alembic", "-x", f"url={database.engine.url}"]
    for arguments in (["check"], ["downgrade", "base"]):
        subprocess.run([*alembic, *arguments], cwd=ROOT, check=True)
    assert inspect(database.engine).get_table_names() == ["alembic_version"]


def test_a_session_is_rolled_back_on_an_exception(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.session() as session:
        session.add(Runner(executor_id="r", started_at=1.0, heartbeat_at=1.0))
        session.flush()
        _ = 1 / 0
    with database.snapshot() as session:
        assert session.scalars(select(Runner)).all() == []


def test_foreign_keys_are_held(database: Database) -> None:
    with pytest.raises(IntegrityError), database.session() as session:
        session.add(Tag(item_id="none", tag="x"))


def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    with database.session() as writer:
        writer.add(Runner(executor_id="r", started_at=1.0, heartbeat_at=1.0))
        writer.flush()
        with database.snapshot() as reader:
            assert reader.get(Runner, "r") is None
        with database.engine.connect() as connection:
            assert connection.execute(select(Runner)).all() == []


def test_read_then_write_in_a_session_loses_no_update(database: Database) -> None:
    """With a plain BEGIN, SQLite would fail here or lose updates."""
    with database.session() as session:
        session.add(Runner(executor_id="r", started_at=0.0, heartbeat_at=0.0))

    def count(_turn: int) -> None:
        with database.session() as session:
            database.lock(session, 7)
            runner = session.get(Runner, "r")
            assert runner is not None
            runner.heartbeat_at += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(40)))
    with database.snapshot() as session:
        assert session.scalar(select(Runner.heartbeat_at)) == 40


def test_a_lock_is_held_until_the_transaction_ends(database: Database) -> None:
    order: list[str] = []
    started = threading.Event()

    def second() -> None:
        started.set()
        with database.session() as session:
            database.lock(session, -(2**63))
            order.append("second")

    with database.session() as session:
        database.lock(session, -(2**63))
        thread = threading.Thread(target=second)
        thread.start()
        started.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_the_last_desired_state_of_a_variant_counts(database: Database) -> None:
    variants = DesiredVariants(database)
    variants.set("whisper", "tiny", True)
    variants.set("whisper", "base", True)
    variants.set("whisper", "tiny", False)
    variants.set("other", "tiny", True)
    assert variants.desired("whisper") == {"tiny": False, "base": True}
    variants.forget("whisper")
    assert variants.desired("whisper") == {}
    assert variants.desired("other") == {"tiny": True}
    with database.snapshot() as session:
        assert [row.updated_at > 0 for row in session.scalars(select(DesiredVariant))] == [True]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_sqlite_in_memory_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="must be a file"):
        Database(url)
    with pytest.raises(ValidationError):
        StorageConfig(database_url=url)


def test_relative_paths_are_resolved_under_a_folder(tmp_path: Path) -> None:
    config = AppConfig(models={}).resolved(tmp_path)
    assert config.storage.database_url == f"sqlite:///{tmp_path}/state/audiograph.db"
    assert config.storage.artifacts_url == f"{tmp_path}/state/artifacts"
    assert config.work_dir == tmp_path / "state"
    assert config.resolved(tmp_path / uuid.uuid4().hex) == config


def test_absolute_paths_and_urls_stay_as_they_are(tmp_path: Path) -> None:
    storage = StorageConfig(database_url="postgresql://u@h/d", artifacts_url="s3://bucket/x")
    exports = ExportsConfig(folder=Path("/var/exports"))
    config = AppConfig(models={}, storage=storage, exports=exports, work_dir=Path("/var/lib/audiograph"))
    assert config.resolved(tmp_path) == config
    in_folder = StorageConfig(database_url="sqlite:////var/x.db", artifacts_url="/var/artifacts")
    assert in_folder.resolved(tmp_path) == in_folder
