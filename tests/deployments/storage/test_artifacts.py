"""The artifact store: writing, reading, records, search, pins, deletion."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiograph.errors import Conflict, InternalError, InvalidRequest, NotFound
from audiograph.schemas import Artifact, File
from deployments.audio.files import AudioInfo
from deployments.storage.artifacts import ArtifactStore, Provenance, Usage
from deployments.storage.blobs import Blobs
from deployments.storage.content import Content

NOWHERE = "art_" + "0" * 32
EMPTY = Usage(items=0, blobs=0, bytes=0)

Put = Callable[..., Artifact]
Files = Callable[[], list[Path]]


def content_of(store: ArtifactStore) -> Content:
    return store._content


def test_a_file_is_kept_with_what_is_known_of_it(store: ArtifactStore) -> None:
    before = datetime.now(UTC)
    with store.writer() as writer:
        writer.write(b"some ")
        writer.write(b"bytes")
        assert writer.bytes == 10
        assert writer.path.read_bytes() == b"some bytes"
        audio = AudioInfo(1.5, 44100, 2, "audio/wav", offset=2.95, track=2, notes=("a", "b"))
        file = writer.commit_file("talk.wav", "audio/wav", audio)
    assert (file.name, file.media_type, file.bytes) == ("talk.wav", "audio/wav", 10)
    assert (file.duration, file.sample_rate, file.channels) == (1.5, 44100, 2)
    assert (file.offset, file.track, file.notes) == (2.95, 2, ["a", "b"])
    assert file.sha256 == hashlib.sha256(b"some bytes").hexdigest()
    assert file.url == f"/v1/files/{file.id}/content"
    assert file.id.startswith("file_")
    assert before <= file.created_at <= datetime.now(UTC)
    assert type(file) is File
    assert store.get(file.id) == file
    assert b"".join(store.read(file.id)) == b"some bytes"


def test_an_artifact_is_kept_with_where_it_came_from(store: ArtifactStore) -> None:
    provenance = Provenance(
        job_id="j1",
        task="speak",
        model="espeak",
        variant="default",
        weights="none",
        creator="ann",
        parent_id=NOWHERE,
        variation_set_id="v1",
        tags=["loud", "b", "loud"],
        parameters={"text": "Grüße\0", "speed": float("nan"), "deep": [{"x": 1}]},
    )
    audio = AudioInfo(0.5, 16000, 1, "audio/wav")
    artifact = store.put_artifact("a.wav", b"RIFF", "audio/wav", audio=audio, provenance=provenance)
    kept = store.get(artifact.id)
    assert isinstance(kept, Artifact)
    assert kept.id.startswith("art_")
    assert kept.url == f"/v1/artifacts/{artifact.id}/content"
    assert kept.tags == ["b", "loud"]
    assert kept.parameters == {"text": "Grüße\0", "speed": None, "deep": [{"x": 1}]}
    same = {"job_id", "task", "model", "variant", "weights", "creator", "parent_id", "variation_set_id"}
    assert kept.model_dump(include=same) == {key: getattr(provenance, key) for key in same}


def test_a_text_that_postgresql_cannot_store_is_refused(store: ArtifactStore, put: Put) -> None:
    for provenance in ({"creator": "a\0b"}, {"tags": ["\ud800"]}):
        with pytest.raises(InvalidRequest) as refused:
            put(b"x", **provenance)
        assert refused.value.field == next(iter(provenance))
    assert store.usage() == EMPTY


def test_nothing_is_left_of_a_writer_that_does_not_commit(store: ArtifactStore, files_on_disk: Files) -> None:
    with pytest.raises(ConnectionResetError), store.writer() as writer:
        writer.write(b"half an upl")
        assert len(files_on_disk()) == 1
        raise ConnectionResetError
    assert files_on_disk() == []
    assert store.usage() == EMPTY


def test_equal_content_is_stored_once(store: ArtifactStore, put: Put, files_on_disk: Files) -> None:
    first, second = put(b"same", "a"), put(b"same", "b")
    assert first.id != second.id
    assert store.usage() == Usage(items=2, blobs=1, bytes=4)
    assert len(files_on_disk()) == 1
    store.delete(first.id)
    assert b"".join(store.read(second.id)) == b"same"
    store.delete(second.id)
    assert store.usage() == EMPTY
    assert files_on_disk() == []


def test_empty_content(store: ArtifactStore, put: Put) -> None:
    artifact = put(b"")
    assert b"".join(store.read(artifact.id)) == b""
    with store.local(artifact.id) as path:
        assert path.read_bytes() == b""


def test_an_id_that_is_not_there(store: ArtifactStore) -> None:
    for absent in (NOWHERE, "", "art_", "file_\0", "../x", NOWHERE + "\n"):
        for act in (store.get, store.read, store.delete, lambda i: store.local(i).__enter__()):
            with pytest.raises(NotFound):
                act(absent)
        assert store.get_many([absent]) == []


def test_many_records_come_in_the_order_asked(store: ArtifactStore, put: Put) -> None:
    artifacts = [put(b"%d" % number, tags=[f"t{number}"]) for number in range(5)]
    wanted = [artifacts[3].id, NOWHERE, artifacts[0].id, artifacts[4].id]
    assert store.get_many(wanted) == [artifacts[3], artifacts[0], artifacts[4]]


def test_local_gives_a_path_to_the_bytes(store: ArtifactStore, put: Put, files_on_disk: Files) -> None:
    artifact = put(b"bytes")
    kept = files_on_disk()
    with store.local(artifact.id) as path:
        assert path.read_bytes() == b"bytes"
    assert files_on_disk() == kept


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 1100), length=st.integers(0, 1100), chunk=st.integers(1, 300))
def test_any_range_can_be_read(store: ArtifactStore, start: int, length: int, chunk: int) -> None:
    content = bytes(number % 251 for number in range(1000))
    artifact = store.put_artifact("x", content, "text/plain", provenance=Provenance())
    chunks = list(store.read(artifact.id, start, start + length, chunk_bytes=chunk))
    assert b"".join(chunks) == content[start : start + length]
    assert max(map(len, chunks)) <= chunk


def test_parts_of_an_object_store_fit_together(
    memory_store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    filesystem, root = content_of(memory_store)._fs, content_of(memory_store)._root  # type: ignore[attr-defined]
    fetch, fetched = filesystem.cat_file, []

    def fetch_as_s3_does(
        path: str, version_id: str | None = None, start: int | None = None, end: int | None = None
    ) -> Any:
        assert version_id is None
        fetched.append((start, end))
        return fetch(path, start=start, end=end)

    monkeypatch.setattr(filesystem, "cat_file", fetch_as_s3_does)
    monkeypatch.setattr("deployments.storage.remote_content.PART_BYTES", 100)
    content = bytes(range(250)) * 2
    artifact = memory_store.put_artifact("x", content, "text/plain", provenance=Provenance())
    assert b"".join(memory_store.read(artifact.id, chunk_bytes=30)) == content
    fetched.clear()
    assert b"".join(memory_store.read(artifact.id, 99, 301, chunk_bytes=30)) == content[99:301]
    assert fetched == [(99, 199), (199, 299), (299, 301)]
    with memory_store.local(artifact.id) as path:
        assert path.read_bytes() == content
    memory_store.delete(artifact.id)
    assert filesystem.find(root) == []


def spoil(store: ArtifactStore, artifact: Artifact, content: bytes, files: Files) -> None:
    [path] = [path for path in files() if path.name == artifact.sha256]
    path.write_bytes(content)


def test_damaged_content_is_never_handed_out_whole(
    store: ArtifactStore, put: Put, files_on_disk: Files
) -> None:
    artifact = put(b"0123456789")
    spoil(store, artifact, b"012345678X", files_on_disk)
    chunks = store.read(artifact.id, chunk_bytes=4)
    received = b""
    with pytest.raises(InternalError, match="damaged"):
        for chunk in chunks:
            received += chunk
    assert len(received) < 10


def test_content_cut_short_is_noticed_and_mended_by_the_next_put(
    store: ArtifactStore, put: Put, files_on_disk: Files
) -> None:
    artifact = put(b"0123456789")
    spoil(store, artifact, b"01234", files_on_disk)
    for act in (store.read, lambda i: store.local(i).__enter__()):
        with pytest.raises(InternalError, match="missing or damaged"):
            act(artifact.id)
    put(b"0123456789")
    assert b"".join(store.read(artifact.id)) == b"0123456789"


def test_an_open_read_outlives_deletion_in_a_folder(sqlite_store: ArtifactStore) -> None:
    content = b"x" * 3_000_000
    artifact = sqlite_store.put_artifact("x", content, "text/plain", provenance=Provenance())
    chunks = sqlite_store.read(artifact.id)
    sqlite_store.delete(artifact.id)
    assert b"".join(chunks) == content


def test_a_failure_while_placing_leaves_no_item(
    store: ArtifactStore, put: Put, files_on_disk: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(content_of(store), "place", fail)
        with pytest.raises(OSError, match="no space"):
            put(b"content")
    assert store.usage() == EMPTY
    assert files_on_disk() == []
    assert b"".join(store.read(put(b"content").id)) == b"content"


def test_a_blob_that_goes_between_announcement_and_item_is_announced_again(
    store: ArtifactStore, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    announce = Blobs._announce
    announced: list[str] = []

    def announce_and_lose(blobs: Blobs, sha256: str, size: int) -> None:
        announce(blobs, sha256, size)
        announced.append(sha256)
        if len(announced) < 3:
            blobs.remove_unused(sha256)

    monkeypatch.setattr(Blobs, "_announce", announce_and_lose)
    artifact = put(b"content")
    assert announced == [artifact.sha256] * 3
    assert b"".join(store.read(artifact.id)) == b"content"


def test_content_deleted_after_staging_is_uploaded_again(
    store: ArtifactStore, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last other item of the content is deleted after a new put has skipped its upload."""
    first = put(b"content")
    stage = content_of(store).stage

    def stage_then_lose(source: Path, sha256: str, size: int) -> str | None:
        staged = stage(source, sha256, size)
        store.delete(first.id)
        return staged

    monkeypatch.setattr(content_of(store), "stage", stage_then_lose)
    assert b"".join(store.read(put(b"content").id)) == b"content"


def test_a_zip_can_be_made_of_what_is_read(store: ArtifactStore, put: Put) -> None:
    artifact = put(b"content" * 1000)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open(artifact.name, "w") as entry:
        for chunk in store.read(artifact.id, chunk_bytes=100):
            entry.write(chunk)
    with zipfile.ZipFile(buffer) as archive:
        assert archive.read(artifact.name) == b"content" * 1000


def test_a_pinned_item_cannot_be_deleted(store: ArtifactStore, put: Put) -> None:
    artifact = put(b"x")
    store.pin("job-1", {artifact.id: "file"})
    store.pin("job-1", {artifact.id: "file"})
    store.pin("job-2", {artifact.id: "file"})
    with pytest.raises(Conflict) as refused:
        store.delete(artifact.id)
    assert refused.value.details["job_id"] in {"job-1", "job-2"}
    assert sorted(job_id for job_id, _ in store.pinned_jobs()) == ["job-1", "job-2"]
    store.unpin("job-1")
    with pytest.raises(Conflict):
        store.delete(artifact.id)
    store.unpin("job-2")
    store.unpin("job-2")
    assert store.pinned_jobs() == []
    store.delete(artifact.id)


def test_pinning_is_all_or_nothing(store: ArtifactStore, put: Put) -> None:
    artifact = put(b"x")
    for absent in (NOWHERE, "file_\0"):
        with pytest.raises(NotFound) as missing:
            store.pin("job", {artifact.id: "file", absent: "parent_id"})
        assert missing.value.field == "parent_id"
        assert store.pinned_jobs() == []


def test_an_artifact_can_be_born_pinned(store: ArtifactStore) -> None:
    artifact = store.put_artifact("x", b"x", "text/plain", provenance=Provenance(job_id="job"), pin=True)
    assert [job_id for job_id, _ in store.pinned_jobs()] == ["job"]
    with pytest.raises(Conflict):
        store.delete(artifact.id)


def test_pin_and_delete_at_once_never_lose_a_pinned_item(store: ArtifactStore, put: Put) -> None:
    """One of each pair wins: either the item exists and is pinned, or it is deleted and the pin refused."""

    def attempt(act: Callable[[], None], barrier: threading.Barrier) -> bool:
        barrier.wait()
        try:
            act()
        except (NotFound, Conflict):
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        for turn in range(15):
            artifact, barrier = put(b"x"), threading.Barrier(2)
            pin = pool.submit(attempt, partial(store.pin, f"job-{turn}", {artifact.id: "file"}), barrier)
            deletion = pool.submit(attempt, partial(store.delete, artifact.id), barrier)
            assert pin.result() != deletion.result()
            assert len(store.get_many([artifact.id])) == pin.result()
