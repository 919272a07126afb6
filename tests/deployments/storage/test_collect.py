"""Garbage collection: retention, the budget, and the leftovers of dead processes."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from audiograph.errors import NotFound
from audiograph.schemas import Artifact
from deployments.config import StorageConfig
from deployments.storage import collect
from deployments.storage.artifacts import ArtifactStore, Collected, Provenance, Usage
from deployments.storage.remote_content import STALE_SECONDS
from deployments.storage.tables import Item
from tests.conftest import Migrate
from tests.support.churn import migrate

HOUR = 3600.0
NOTHING = Collected(items=0, blobs=0, bytes=0)

Put = Callable[..., Artifact]
Files = Callable[[], list[Path]]


def age(store: ArtifactStore, artifact: Artifact, seconds: float) -> None:
    """Set the last use of an artifact to this long ago."""
    with store.database.session() as session:
        used_at = time.time() - seconds
        session.execute(update(Item).where(Item.id == artifact.id).values(used_at=used_at))


def kept(store: ArtifactStore, *artifacts: Artifact) -> list[bool]:
    there = {record.id for record in store.get_many([artifact.id for artifact in artifacts])}
    return [artifact.id in there for artifact in artifacts]


def test_without_limits_nothing_is_removed(store: ArtifactStore, put: Put) -> None:
    old = put(b"x")
    age(store, old, 1e9)
    assert store.collect(None, None) == NOTHING
    assert kept(store, old) == [True]


def test_what_was_not_used_for_long_is_removed(store: ArtifactStore, put: Put, files_on_disk: Files) -> None:
    old, young = put(b"old", tags=["t"]), put(b"young")
    age(store, old, 2 * HOUR)
    assert store.collect(HOUR, None) == Collected(items=1, blobs=1, bytes=3)
    assert kept(store, old, young) == [False, True]
    assert [path.name for path in files_on_disk()] == [young.sha256]
    assert store.search(tag="t").data == []
    assert store.collect(HOUR, None) == NOTHING


def test_more_than_one_batch_expires(store: ArtifactStore, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployments.storage.collect.BATCH_SIZE", 2)
    for number in range(5):
        age(store, put(b"%d" % (number % 3)), 2 * HOUR)
    assert store.collect(HOUR, None) == Collected(items=5, blobs=3, bytes=3)
    assert store.usage() == Usage(items=0, blobs=0, bytes=0)


def test_content_stays_for_its_younger_item(store: ArtifactStore, put: Put) -> None:
    old, young = put(b"same"), put(b"same")
    age(store, old, 2 * HOUR)
    assert store.collect(HOUR, None) == Collected(items=1, blobs=0, bytes=0)
    assert b"".join(store.read(young.id)) == b"same"


@pytest.mark.parametrize("use", ["read", "local", "pin"])
def test_a_use_begins_the_time_again(store: ArtifactStore, put: Put, use: str) -> None:
    artifact = put(b"x")
    age(store, artifact, 2 * HOUR)
    if use == "read":
        assert list(store.read(artifact.id)) == [b"x"]
    elif use == "local":
        with store.local(artifact.id):
            pass
    else:
        store.pin("job", {artifact.id: "file"})
        store.unpin("job")
    assert store.collect(HOUR, None) == NOTHING


def test_what_is_pinned_stays(store: ArtifactStore, put: Put) -> None:
    pinned = put(b"pinned")
    born_pinned = store.put_artifact(
        "x", b"born pinned", "text/plain", provenance=Provenance(job_id="job"), pin=True
    )
    store.pin("job", {pinned.id: "file"})
    for artifact in (pinned, born_pinned):
        age(store, artifact, 2 * HOUR)
    assert store.collect(HOUR, 1) == NOTHING
    assert b"".join(store.read(pinned.id)) == b"pinned"
    for artifact in (pinned, born_pinned):
        age(store, artifact, 2 * HOUR)
    store.unpin("job")
    assert store.collect(HOUR, None).items == 2


def test_the_least_recently_used_go_first(store: ArtifactStore, put: Put) -> None:
    artifacts = [put(b"%d" % number * 100) for number in range(5)]
    for artifact, hours in zip(artifacts, (1, 5, 3, 4, 2), strict=True):
        age(store, artifact, hours * HOUR)
    assert store.collect(None, 250) == Collected(items=3, blobs=3, bytes=300)
    assert kept(store, *artifacts) == [True, False, False, False, True]
    assert store.collect(None, 250) == NOTHING


def test_the_budget_passes_over_what_is_pinned(store: ArtifactStore, put: Put) -> None:
    pinned, old, young = put(b"p" * 100), put(b"o" * 100), put(b"y" * 100)
    store.pin("job", {pinned.id: "file"})
    age(store, pinned, 3 * HOUR)
    age(store, old, 2 * HOUR)
    assert store.collect(None, 200).bytes == 100
    assert kept(store, pinned, old, young) == [True, False, True]


def test_the_budget_removes_no_item_in_vain(store: ArtifactStore, put: Put) -> None:
    """Removing an old item whose content a younger item shares would free nothing."""
    shared_old, alone, shared_young = put(b"s" * 100), put(b"a" * 100), put(b"s" * 100)
    age(store, shared_old, 3 * HOUR)
    age(store, alone, 2 * HOUR)
    assert store.collect(None, 100) == Collected(items=1, blobs=1, bytes=100)
    assert kept(store, shared_old, alone, shared_young) == [True, False, True]


def test_the_budget_takes_all_items_of_a_content(
    store: ArtifactStore, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployments.storage.collect.BATCH_SIZE", 1)
    for content in (b"a" * 100, b"a" * 100, b"b" * 100):
        age(store, put(content), HOUR)
    assert store.collect(None, 10) == Collected(items=3, blobs=2, bytes=200)


@pytest.mark.parametrize("use", ["read", "pin"])
def test_what_is_used_at_the_last_moment_is_spared(
    migrated_postgres: Callable[[Migrate], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    """The use comes between choosing a blob and locking its items. (SQLite has one writer at a time.)"""
    database_url = migrated_postgres(migrate)
    store = ArtifactStore.open(StorageConfig(database_url=database_url, artifacts_url=str(tmp_path)))
    artifact = store.put_artifact("x", b"x" * 100, "text/plain", provenance=Provenance())
    age(store, artifact, HOUR)
    least_recently_used = collect._least_recently_used

    def choose_then_use(session: Session, excess: int) -> dict[str, float]:
        chosen = least_recently_used(session, excess)
        if use == "read":
            store.read(artifact.id)
        else:
            store.pin("job", {artifact.id: "file"})
            age(store, artifact, 2 * HOUR)
        return chosen

    monkeypatch.setattr(collect, "_least_recently_used", choose_then_use)
    assert store.collect(None, 10) == NOTHING
    assert kept(store, artifact) == [True]


def test_blobs_of_writers_that_died_are_cleared(
    store: ArtifactStore, put: Put, files_on_disk: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is killed after its content was placed and before its item was committed."""

    class Killed(BaseException):
        pass

    place = store._content.place

    def place_and_die(source: Path, staged: str | None, sha256: str, size: int) -> None:
        place(source, staged, sha256, size)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(store._content, "place", place_and_die)
        with pytest.raises(Killed):
            put(b"orphan")
    assert len(files_on_disk()) == 1
    assert store.usage() == Usage(items=0, blobs=0, bytes=0)
    assert store.collect(None, None) == Collected(items=0, blobs=1, bytes=6)
    assert files_on_disk() == []


def test_abandoned_uploads_to_an_object_store_are_cleared(memory_store: ArtifactStore) -> None:
    content = memory_store._content
    filesystem, root = content._fs, content._root  # type: ignore[attr-defined]
    now = int(time.time())
    names = {age: f"{root}/incoming/{now - age}-{'0' * 32}" for age in (0, int(STALE_SECONDS) + 60)}
    for name in (*names.values(), f"{root}/incoming/README"):
        filesystem.pipe_file(name, b"half")
    memory_store.collect(None, None)
    assert filesystem.find(root) == [names[0], f"{root}/incoming/README"]


def test_several_may_collect_at_once(store: ArtifactStore, put: Put) -> None:
    artifacts = [put(b"%d" % number) for number in range(20)]
    for artifact in artifacts[:15]:
        age(store, artifact, 2 * HOUR)
    with ThreadPoolExecutor(4) as pool:
        rounds = list(pool.map(lambda _: store.collect(HOUR, 6), range(4)))
    assert sum(rounds, start=NOTHING) == Collected(items=17, blobs=17, bytes=24)
    assert store.usage() == Usage(items=3, blobs=3, bytes=6)


def test_two_collectors_do_not_remove_the_same_excess_twice(
    store: ArtifactStore, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one starts when the first has just computed the excess."""
    artifacts = [put(b"%d" % number * 100) for number in range(3)]
    for artifact, hours in zip(artifacts, (3, 2, 1), strict=True):
        age(store, artifact, hours * HOUR)
    least_recently_used = collect._least_recently_used
    seconds: list[threading.Thread] = []

    def let_another_collect(session: Session, max_bytes: int) -> dict[str, float]:
        found = least_recently_used(session, max_bytes)
        if not seconds:
            seconds.append(threading.Thread(target=store.collect, args=(None, 200)))
            seconds[0].start()
            seconds[0].join(timeout=0.5)  # the other collector waits for this one, so this times out
        return found

    monkeypatch.setattr(collect, "_least_recently_used", let_another_collect)
    store.collect(None, 200)
    seconds[0].join()
    assert kept(store, *artifacts) == [False, True, True]


def test_collect_and_pin_at_once_never_lose_a_pinned_item(store: ArtifactStore, put: Put) -> None:
    def pin(job_id: str, item_id: str) -> bool:
        try:
            store.pin(job_id, {item_id: "file"})
        except NotFound:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for turn in range(15):
            artifact = put(b"x")
            age(store, artifact, 2 * HOUR)
            pinned = pool.submit(pin, f"job-{turn}", artifact.id)
            pool.submit(store.collect, HOUR, None).result()
            assert kept(store, artifact) == [pinned.result()]
