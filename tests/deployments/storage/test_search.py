"""Search over artifacts, page by page, and the names that they keep."""

import base64
import json
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audiograph.errors import InvalidRequest
from audiograph.schemas import Artifact
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.names import base_name

NOWHERE = "art_" + "0" * 32

Put = Callable[..., Artifact]


def all_pages(store: ArtifactStore, limit: int) -> Iterator[list[str]]:
    cursor: str | None = None
    while True:
        page = store.search(limit=limit, cursor=cursor)
        yield [artifact.id for artifact in page.data]
        cursor = page.next_cursor
        if cursor is None:
            return


def test_search_by_each_criterion_and_by_several(store: ArtifactStore, put: Put) -> None:
    one = put(b"1", tags=["t", "u"], creator="ann", variation_set_id="v", parent_id="p", job_id="j")
    two = put(b"2", tags=["t"], creator="bob", variation_set_id="v")
    with store.writer() as writer:
        writer.commit_file("upload", "text/plain", None)
    found = {
        "tag=t": store.search(tag="t"),
        "tag=u": store.search(tag="u"),
        "creator": store.search(creator="bob"),
        "set": store.search(variation_set_id="v"),
        "parent": store.search(parent_id="p"),
        "job": store.search(job_id="j"),
        "both": store.search(tag="t", creator="ann"),
        "none": store.search(tag="u", creator="bob"),
        "all": store.search(),
    }
    assert {key: [artifact.id for artifact in page.data] for key, page in found.items()} == {
        "tag=t": [two.id, one.id],
        "tag=u": [one.id],
        "creator": [two.id],
        "set": [two.id, one.id],
        "parent": [one.id],
        "job": [one.id],
        "both": [one.id],
        "none": [],
        "all": [two.id, one.id],
    }
    assert found["tag=u"].data == [one]


def test_pages_miss_nothing_and_repeat_nothing(
    store: ArtifactStore, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1e9 + 1 / 3)  # all at one time: only the ids differ
    same_time = {put(b"x").id for _ in range(4)}
    monkeypatch.setattr("time.time", lambda: 1e9 + 2 / 3)
    later = put(b"x").id
    pages = list(all_pages(store, 2))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert pages[0][0] == later
    assert {item for page in pages for item in page} == same_time | {later}
    assert [len(page) for page in all_pages(store, 5)] == [5]


def test_new_artifacts_do_not_shift_a_page(store: ArtifactStore, put: Put) -> None:
    old = [put(b"x").id for _ in range(4)]
    first = store.search(limit=2)
    put(b"new")
    second = store.search(limit=2, cursor=first.next_cursor)
    assert [artifact.id for artifact in (*first.data, *second.data)] == old[::-1]


def cursor_of(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "????",
        "é",
        cursor_of(1),
        cursor_of([]),
        cursor_of([1, 2]),
        cursor_of(["x", NOWHERE]),
        cursor_of([float("nan"), NOWHERE]),
        cursor_of([10**400, NOWHERE]),
        cursor_of([1.0, "art_\0"]),
        cursor_of([1.0, NOWHERE, 2]),
    ],
)
def test_a_bad_cursor_is_named(sqlite_store: ArtifactStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor") as refused:
        sqlite_store.search(cursor=cursor)
    assert refused.value.field == "cursor"


@given(cursor=st.text(max_size=80))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_as_cursor_is_refused_in_words(sqlite_store: ArtifactStore, cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        sqlite_store.search(cursor=cursor)


@pytest.mark.parametrize("limit", [-1, 0, 1001])
def test_a_limit_out_of_range_is_named(sqlite_store: ArtifactStore, limit: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sqlite_store.search(limit=limit)
    assert refused.value.field == "limit"


def test_a_value_that_cannot_be_stored_is_named(store: ArtifactStore) -> None:
    with pytest.raises(InvalidRequest) as refused:
        store.search(tag="a\0")
    assert refused.value.field == "tag"
    with pytest.raises(InvalidRequest) as refused:
        store.search(creator="\udfff")
    assert refused.value.field == "creator"


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("talk.mp3", "talk.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\song.wav", "song.wav"),
        ("/", "unnamed"),
        ("", "unnamed"),
        ("..", "unnamed"),
        (" . ", "unnamed"),
        ("a\0b\r\n.wav", "ab.wav"),
        ("gpj\u202e3pm.exe", "gpj3pm.exe"),
        ("Grüße 🎵.ogg", "Grüße 🎵.ogg"),
        ("\ud800.wav", ".wav"),
    ],
)
def test_names_become_base_names(given_name: str, kept: str) -> None:
    assert base_name(given_name) == kept


@given(st.text(st.characters(), max_size=400) | st.text("é/\\.\0 🎵", max_size=400))
def test_every_name_can_be_saved_under(name: str) -> None:
    kept = base_name(name)
    assert 1 <= len(kept.encode()) <= 255
    assert not set(kept) & {"/", "\\", "\0", "\n"}
    assert kept not in {".", ".."}
    assert base_name(kept) == kept


def test_a_long_name_keeps_its_extension(store: ArtifactStore, put: Put) -> None:
    artifact = put(b"x", name="ä" * 300 + ".flac")
    assert artifact.name == "ä" * 125 + ".flac"
    assert store.get(artifact.id).name == artifact.name
